"""Starting and ending one control plane: certificates, stored state, kube-apiserver, kube-controller-manager.

The one rule: leaving the context leaves nothing. Processes are killed, not asked: an API server drains open watches for
up to a minute, and nothing of a throw-away cluster deserves that.

The first test of a run waits for everything that is done and imported before its API server is started; the rest is
imported then.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_vcluster.controlplane import audit, key_maker, kube_apiserver, kubeconfig
from pytest_vcluster.controlplane.addresses import Address, for_api_server
from pytest_vcluster.controlplane.component import RunningComponent, Starter
from pytest_vcluster.controlplane.keys import CONTROLLER_MANAGER, KeyMaterial, KeyPair
from pytest_vcluster.private_files import write_private

if TYPE_CHECKING:
    from pytest_vcluster.controlplane.http import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneSettings:
    """What distinguishes one control plane from another; `directory` is its own, made and removed by `running`."""

    name: str
    version: str
    directory: Path
    etcd_socket: Path
    service_range: str
    apiserver_binary: Path
    controller_manager_binary: Path
    controllers: tuple[str, ...]
    kubernetes_service_ip: str
    timeout: float
    disabled_admission: tuple[str, ...] = ()
    hostpath_provisioner: bool = False
    ready_path: str = kube_apiserver.READY_PATH
    make_keys: Callable[[str, Sequence[str]], KeyMaterial] = key_maker.make_here
    audited: bool = False
    """Whether the API server notes what a recycler has to know; see `audit`."""

    @property
    def pki(self) -> Path:
        """Where its certificates and keys are."""
        return self.directory / "pki"

    @property
    def controller_manager_kubeconfig(self) -> Path:
        """Where that of its controller manager is."""
        return self.directory / "controller-manager.kubeconfig"

    @property
    def etcd_prefix(self) -> str:
        """Where this control plane's keys are."""
        return f"/{self.name}/"

    @property
    def audit_policy(self) -> Path | None:
        """What its API server notes, if it does."""
        return self.directory / "audit-policy.json" if self.audited else None

    @property
    def audit_log(self) -> Path | None:
        """Where its API server notes that; the file is there once there was something to note."""
        return self.directory / "audit.log" if self.audited else None


@dataclass(slots=True, kw_only=True)
class ControlPlane:
    """A control plane that answers."""

    settings: PlaneSettings
    address: Address
    server_authority: str
    client_authority: KeyPair
    admin: KeyPair
    kubeconfig: Path
    components: list[RunningComponent] = field(default_factory=list)
    """What runs now: the API server, then the controller manager."""
    start_controller_manager: StartComponent | None = None

    @property
    def controller_manager(self) -> RunningComponent:
        """The controller manager."""
        return self.components[1]

    async def restart_controller_manager(self) -> RunningComponent:
        """Replace the controller manager by a new one, which remembers nothing; returns that one."""
        assert self.start_controller_manager is not None
        former = self.components.pop(1)
        former.kill()
        await former.exited
        self.components.append(await self.start_controller_manager())
        return self.controller_manager

    def api(self) -> Client:
        """Open a connection of the caller's own, as system:masters."""
        from pytest_vcluster.controlplane.http import Client  # noqa: PLC0415 - see above

        pki = self.settings.pki
        return Client.over_tls(
            self.address.ip,
            self.address.port,
            authority=pki / "server-ca.crt",
            certificate=pki / "admin.crt",
            key=pki / "admin.key",
        )


StartComponent = Callable[[], Awaitable[RunningComponent]]
StateMaker = Callable[[str], Awaitable[Mapping[bytes, bytes]]]
"""Makes the entries to start on, while the API server starts, given the certificate (PEM) of the authority that signs
its serving certificate."""


@contextlib.asynccontextmanager
async def running(
    settings: PlaneSettings,
    starter: Starter,
    *,
    state: StateMaker | None = None,
    listening: asyncio.Future[None] | None = None,
) -> AsyncIterator[ControlPlane]:
    """Run a control plane on `state` (None: on nothing, as upstream does), and end it without a trace.

    etcd has to listen already, or when `listening` is done. Raises ProvisionError when a component ends early (with the
    tail of its log) and Timeout when it is not ready in time (with what /readyz said last).
    """
    started: list[RunningComponent] = []
    try:
        plane = await asyncio.to_thread(_prepare, settings)
        plane.components = started
        apiserver = kube_apiserver.component(
            settings.apiserver_binary,
            kube_apiserver.Settings(
                name=settings.name,
                address=plane.address,
                etcd_socket=settings.etcd_socket,
                etcd_prefix=settings.etcd_prefix.rstrip("/"),
                service_range=settings.service_range,
                pki=settings.pki,
                disabled_admission=settings.disabled_admission,
                audit_policy=settings.audit_policy,
                audit_log=settings.audit_log,
            ),
        )
        started.append(await starter.start(apiserver))
        from pytest_vcluster.controlplane import kube_controller_manager, readiness, seeding  # noqa: PLC0415 - see above

        entries = None if state is None else await state(plane.server_authority)
        if listening is not None:
            await asyncio.shield(listening)
        # The server looks at etcd only when it has initialized itself, which takes longer than the seed.
        if entries is not None and not await asyncio.to_thread(seeding.seed, settings, entries):
            # This one was quicker, and has begun to make a state of its own: away with both, then one after the other.
            started[0].kill()
            await started[0].exited
            await asyncio.to_thread(seeding.seed_anew, settings, entries)
            started[0] = await starter.start(apiserver)
        await readiness.until_ready(plane, started[0])
        controller_manager = kube_controller_manager.component(
            settings.controller_manager_binary,
            kube_controller_manager.Settings(
                name=settings.name,
                kubeconfig=settings.controller_manager_kubeconfig,
                pki=settings.pki,
                controllers=settings.controllers,
                hostpath_provisioner=settings.hostpath_provisioner,
            ),
        )
        plane.start_controller_manager = functools.partial(starter.start, controller_manager)
        started.append(await plane.start_controller_manager())
        yield plane
    finally:
        for component in reversed(started):
            component.kill()
        await asyncio.gather(*(component.exited for component in started))
        if started:
            from pytest_vcluster.controlplane import seeding  # noqa: PLC0415 - see above

            await asyncio.to_thread(seeding.discard, settings)
        await asyncio.to_thread(shutil.rmtree, settings.directory, ignore_errors=True)


def _prepare(settings: PlaneSettings) -> ControlPlane:
    address = for_api_server()
    pki = settings.pki
    pki.mkdir(parents=True, mode=0o700)
    hosts = (*kube_apiserver.SERVER_NAMES, address.ip, settings.kubernetes_service_ip)
    material = settings.make_keys(settings.name, tuple(dict.fromkeys(hosts)))
    for name, pair in material.pairs.items():
        write_private(pki / f"{name}.crt", pair.certificate)
        write_private(pki / f"{name}.key", pair.key)
    write_private(pki / "service-accounts.key", material.signing.private)
    write_private(pki / "service-accounts.pub", material.signing.public)
    if settings.audit_policy is not None:
        write_private(settings.audit_policy, json.dumps(audit.policy()))
    servers, admin = material.pairs["server-ca"], material.pairs["admin"]
    config = settings.directory / "kubeconfig"
    for path, client, user in (
        (config, admin, "admin"),
        (settings.controller_manager_kubeconfig, material.pairs["controller-manager"], CONTROLLER_MANAGER),
    ):
        text = kubeconfig.render(
            name=settings.name,
            server=address.url,
            certificate_authority=servers.certificate,
            client=client,
            user=user,
        )
        write_private(path, text)
    return ControlPlane(
        settings=settings,
        address=address,
        server_authority=servers.certificate,
        client_authority=material.pairs["client-ca"],
        admin=admin,
        kubeconfig=config,
    )
