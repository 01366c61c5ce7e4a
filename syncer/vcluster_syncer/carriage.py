"""What it takes to carry one tenant: its gateway, its sync, its figures, its recycler, in this order.

The one rule: all or nothing. Whatever fails on the way takes along what was there before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vcluster_syncer.config import TenantConfig
from vcluster_syncer.engine.tenants import Tenants
from vcluster_syncer.gateway.gateways import Gateways
from vcluster_syncer.gateway.meters import Meters
from vcluster_syncer.kube import requests
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.kubeconfig import load
from vcluster_syncer.model import SERVICES, Owner
from vcluster_syncer.recycle.processes import Commands
from vcluster_syncer.recycle.recyclers import Recyclers
from vcluster_syncer.recycle.target import Target


class OwningService:
    """The Service of the host that owns what is made there. Its uid is looked up once: another one is another's."""

    def __init__(self, host: Client, *, namespace: str, name: str) -> None:
        self._host = host
        self._namespace = namespace
        self._name = name
        self._found: Owner | None = None

    async def found(self) -> Owner:
        """The owner; KubeError if it can't be read, NotFound if there is none."""
        if self._found is None:
            service = await self._host.send(requests.get(SERVICES, namespace=self._namespace, name=self._name))
            self._found = Owner(self._namespace, self._name, service["metadata"]["uid"])
        return self._found


@dataclass(frozen=True, slots=True)
class Carriage:
    """What carries tenants."""

    tenants: Tenants
    recyclers: Recyclers
    gateways: Gateways
    meters: Meters
    owner: OwningService | None = None
    """Who owns what is made on the host; None: nobody."""

    async def add(self, config: TenantConfig) -> None:
        """Carry a tenant; returns once its lists are read and its nodes mirrored."""
        server = load(config.kubeconfig)
        tenant, name = config.tenant, config.tenant.name
        if self.owner is not None:
            tenant = replace(tenant, owner=await self.owner.found())
        if config.gateway is not None:
            # Before the nodes are mirrored, which tell its port.
            port = await self.gateways.add(name, config.gateway)
            tenant = replace(tenant, kubelet_address=config.gateway.address, kubelet_port=port)
        try:
            await self.tenants.add(tenant, server, config.terms)
        except BaseException:
            if config.gateway is not None:
                await self.gateways.remove(name)
            raise
        try:
            if config.metrics is not None:
                await self.meters.add(name, config.metrics)
                # Its API server asks at once, so nobody takes a baseline before it knows that it is answered.
                await self.meters.announce(name, server)
            if config.recycle is not None:
                await self.recyclers.add(name, _target(config), server)
        except BaseException:
            await self.remove(name)
            raise

    async def remove(self, name: str) -> None:
        """Stop carrying a tenant; NoSuchTenant."""
        await self.gateways.remove(name)
        await self.meters.remove(name)
        await self.recyclers.remove(name)
        await self.tenants.remove(name)


def _target(config: TenantConfig) -> Target:
    recycle = config.recycle
    assert recycle is not None
    by = Commands(freeze=recycle.freeze_commands, rest=recycle.rest_commands, directory=recycle.processes)
    return Target(
        etcd=recycle.etcd,
        prefix=recycle.prefix,
        freeze=recycle.freeze,
        rest=recycle.rest,
        audit=recycle.audit,
        commands=by if by.freeze or by.rest else None,
    )
