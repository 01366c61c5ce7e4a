"""Starting and ending one control plane: certificates, stored state, kube-apiserver, kube-controller-manager.

The one rule: leaving the context leaves nothing. Processes are killed, not asked: an API server drains open watches for
up to a minute, and nothing of a throw-away cluster deserves that.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from pytest_vcluster.controlplane import audit, key_maker, kube_apiserver, kube_controller_manager, kubeconfig
from pytest_vcluster.controlplane.addresses import Address, for_api_server
from pytest_vcluster.controlplane.component import RunningComponent, Starter
from pytest_vcluster.controlplane.datastore import Datastore
from pytest_vcluster.controlplane.http import Client
from pytest_vcluster.controlplane.keys import CONTROLLER_MANAGER, KeyMaterial, KeyPair
from pytest_vcluster.errors import ProvisionError, Timeout

_POLL_SECONDS = 0.01
_SILENT_POLL_SECONDS = 0.025
"""While nothing listens: what is asked then takes from the processors that the start is waiting for."""
_TAIL_LINES = 15


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
        return _client(self.settings, self.address)


StartComponent = Callable[[], Awaitable[RunningComponent]]
StateMaker = Callable[[str], Mapping[bytes, bytes]]
"""Makes the entries to start on, given the certificate (PEM) of the authority that signs the serving certificate."""


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
        if listening is not None:
            await asyncio.shield(listening)
        # The server looks at etcd only when it has initialized itself, which takes longer than the seed.
        if state is not None and not await asyncio.to_thread(_seed, plane, state):
            # This one was quicker, and has begun to make a state of its own: away with both, then one after the other.
            started[0].kill()
            await started[0].exited
            await asyncio.to_thread(_seed_anew, plane, state)
            started[0] = await starter.start(apiserver)
        await _answering(plane, started[0])
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
        await asyncio.to_thread(_discard, settings)


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


def _seed(plane: ControlPlane, state: StateMaker) -> bool:
    with contextlib.closing(Datastore(plane.settings.etcd_socket)) as datastore:
        return datastore.seed(plane.settings.etcd_prefix, state(plane.server_authority))


def _seed_anew(plane: ControlPlane, state: StateMaker) -> None:
    with contextlib.closing(Datastore(plane.settings.etcd_socket)) as datastore:
        datastore.delete(plane.settings.etcd_prefix)
    if not _seed(plane, state):
        raise ProvisionError(f"Somebody else writes to {plane.settings.etcd_prefix} of {plane.settings.etcd_socket}.")


async def _answering(plane: ControlPlane, apiserver: RunningComponent) -> None:
    settings = plane.settings
    began = time.monotonic()
    client = plane.api()
    last_seen = "nothing listens"
    try:
        while time.monotonic() - began < settings.timeout:
            if apiserver.exited.done():
                raise ended_early(apiserver)
            try:
                status, text = await asyncio.to_thread(client.status, settings.ready_path)
            except (OSError, HTTPException) as error:
                last_seen = f"{type(error).__name__}: {error}"
                pause = _SILENT_POLL_SECONDS
            else:
                pause = _POLL_SECONDS
                if status == 200:
                    return
                last_seen = f"/readyz answered {status}: {_failing_checks(text)}"
            await asyncio.sleep(pause)
    finally:
        client.close()
    raise Timeout(
        f"kube-apiserver {settings.version} of {settings.name} becoming ready",
        elapsed=settings.timeout,
        last_seen=f"{last_seen}\nLast lines of {apiserver.log}:\n{tail(apiserver.log)}",
    )


def ended_early(component: RunningComponent) -> ProvisionError:
    """Make the error for a `component` that ended while it was expected to come up."""
    return ProvisionError(
        f"{component.name} ended with {component.exited.result()} while starting.\n"
        f"Last lines of {component.log}:\n{tail(component.log)}\n"
        "Run `pytest-vcluster doctor` to check the binaries and this machine."
    )


def tail(log: Path, *, lines: int = _TAIL_LINES) -> str:
    """The last `lines` lines of a log, or a note that there is none."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 64 * 1024))
            return "\n".join(stream.read().decode(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return f"(no log: {error})"


def write_private(path: Path, text: str) -> None:
    """Write `text` to a new file that only this user can read."""
    path.touch(mode=0o600)
    path.write_text(text)


def _client(settings: PlaneSettings, address: Address) -> Client:
    pki = settings.pki
    return Client.over_tls(
        address.ip,
        address.port,
        authority=pki / "server-ca.crt",
        certificate=pki / "admin.crt",
        key=pki / "admin.key",
    )


def _failing_checks(text: str) -> str:
    return ", ".join(line for line in text.splitlines() if line.startswith("[-]")) or text[:200]


def _discard(settings: PlaneSettings) -> None:
    # etcd may be what died; then there is nothing to delete either.
    with contextlib.suppress(OSError, HTTPException):
        datastore = Datastore(settings.etcd_socket, timeout=5.0)
        datastore.delete(settings.etcd_prefix)
        datastore.close()
    shutil.rmtree(settings.directory, ignore_errors=True)


def all_exited(components: Iterable[RunningComponent]) -> bool:
    """Tell whether every one of `components` has ended."""
    return all(component.exited.done() for component in components)
