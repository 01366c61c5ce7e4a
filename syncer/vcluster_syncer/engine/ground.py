"""Prepares the host for a tenant before it is carried: its room, then its bounds.

The one rule: all or nothing that others could notice. A tenant that is refused leaves no reservation behind.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

from vcluster_syncer import capacity, decide, isolation, ownership
from vcluster_syncer.engine.timing import Timing
from vcluster_syncer.engine.watch import list_all
from vcluster_syncer.isolation import Terms
from vcluster_syncer.kube import requests
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.errors import AlreadyExists, KubeError, NotFound
from vcluster_syncer.model import NAMESPACES, NODES, PODS, Object, Resource, Tenant

_log = logging.getLogger(__name__)


class NoRoom(Exception):
    """The host can't keep what a tenant is to have; the message tells what is free."""


class _Contested(NoRoom):
    """There may be room once somebody who asks at this moment has his answer."""


class NotBounded(Exception):
    """A tenant's bounds can't be drawn; the message tells what is in the way."""


async def prepare(host: Client, tenant: Tenant, terms: Terms, *, timing: Timing, jitter: random.Random) -> None:
    """Reserve and bound; NoRoom, NotBounded or KubeError if that can't be."""
    if terms.reserve:
        for attempt in range(1, timing.contests + 1):
            try:
                await _reserve(host, tenant, terms)
            except _Contested as error:
                if attempt == timing.contests:
                    raise NoRoom(str(error)) from error
                await asyncio.sleep(timing.contested.after(attempt, jitter=jitter))
            else:
                break
    if terms.is_bounded:
        await _bound(host, tenant, terms)


async def release(host: Client, tenant: Tenant, terms: Terms) -> None:
    """Give back what was reserved; what fails is logged, since the namespace takes it along when it ends."""
    if not terms.reserve:
        return
    try:
        await _say(host, tenant, None)
    except NotFound:
        pass
    except KubeError as error:
        _log.warning("tenant %s: its reservation stays until its namespace goes: %s", tenant.name, error)


async def _reserve(host: Client, tenant: Tenant, terms: Terms) -> None:
    # Said first and checked afterwards, so that whoever asks at the same moment sees it.
    await _say(host, tenant, capacity.note(terms.reserve, tenant, asking=True))
    try:
        nodes, pods, namespaces = [(await list_all(host, resource))[0] for resource in (NODES, PODS, NAMESPACES)]
        why = capacity.refusal(tenant, terms.reserve, nodes=nodes, pods=pods, namespaces=namespaces)
        if why:
            kind = _Contested if capacity.is_contested(tenant, namespaces) else NoRoom
            raise kind(why)  # noqa: TRY301 - what follows is for it and for errors alike
        await _say(host, tenant, capacity.note(terms.reserve, tenant))
    except BaseException:
        await release(host, tenant, terms)
        raise


async def _bound(host: Client, tenant: Tenant, terms: Terms) -> None:
    if terms.pod_security:
        labels = {isolation.POD_SECURITY: terms.pod_security, f"{isolation.POD_SECURITY}-version": "latest"}
        await _note(host, tenant, {"labels": labels})
    wanted = dict(isolation.objects(tenant, terms))
    for resource in isolation.BOUNDING:
        await _put(host, tenant, resource, wanted.get(resource))


async def _put(host: Client, tenant: Tenant, resource: Resource, wanted: Object | None) -> None:
    namespace, name = tenant.host_namespace, isolation.name_of(tenant)
    if wanted is not None:
        try:
            made = ownership.owned(wanted, tenant, namespace=namespace)
            await host.send(requests.create(resource, made, namespace=namespace))
        except AlreadyExists:
            pass
        else:
            return
    try:
        there = await host.send(requests.get(resource, namespace=namespace, name=name))
    except NotFound:
        return
    uid = there["metadata"]["uid"]
    if not isolation.is_ours(there, tenant):
        if wanted is None:
            return
        raise NotBounded(
            f"{resource.kind} {namespace}/{name}, which is to bound tenant {tenant.name!r}, was made by somebody else; "
            "delete it on the host"
        )
    if wanted is None:
        await host.send(requests.delete(resource, namespace=namespace, name=name, uid=uid))
    elif patch := decide.fields_patch(there, wanted, ("spec",)):
        await host.send(requests.merge_patch(resource, namespace=namespace, name=name, uid=uid, patch=patch))


async def _say(host: Client, tenant: Tenant, reserved: str | None) -> None:
    await _note(host, tenant, {"annotations": {capacity.RESERVED: reserved}})


async def _note(host: Client, tenant: Tenant, metadata: dict[str, Any]) -> None:
    there = await host.send(requests.get(NAMESPACES, name=tenant.host_namespace))
    patch = {"metadata": metadata}
    name, uid = tenant.host_namespace, there["metadata"]["uid"]
    await host.send(requests.merge_patch(NAMESPACES, namespace="", name=name, uid=uid, patch=patch))
