"""The run's syncer: one process that carries all virtual clusters of the run on the host.

The one rule: it is spoken to through its configuration file and its admin socket only. It is a distribution of its own
that may just as well run in a pod; the two packages share label names and these messages, nothing else.
"""

from __future__ import annotations

import asyncio
import functools
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_vcluster import sync_switches
from pytest_vcluster.controlplane.addresses import Address
from pytest_vcluster.controlplane.component import Component, RunningComponent
from pytest_vcluster.controlplane.http import Client
from pytest_vcluster.controlplane.last_words import ended_early
from pytest_vcluster.errors import ApiError, Timeout
from pytest_vcluster.private_files import write_private

Connect = Callable[..., Client]
"""Opens a connection to a syncer's admin API; takes `timeout`, in seconds."""

_POLL_SECONDS = 0.02
_PATROL_SECONDS = 120
# What the syncer of the embedded host carries beyond its defaults, by its switches.
_SYNC: sync_switches.Sync = {
    "to_host": {"persistent_volumes": True, "priority_classes": True},
    "from_host": {"storage_classes": True},
}


def component(*, config: Path) -> Component:
    """The syncer that reads `config`, run by this very interpreter."""
    return Component(
        name="syncer",
        binary=Path(sys.executable),
        arguments=("-m", "vcluster_syncer", "--config", str(config)),
        environment={"PYTHONUNBUFFERED": "1"},
    )


def write_config(
    directory: Path, *, host_kubeconfig: Path, kubelet: Mapping[str, object], sync: Iterable[str] = ()
) -> Path:
    """Write the syncer's configuration into `directory`, and return its path; `kubelet` is the one to be guarded.

    `sync` is what is shared with the host beyond the usual.
    """
    path = directory / "syncer.json"
    config = {
        "host": {"kubeconfig": str(host_kubeconfig)},
        "admin": {"unix": str(admin_socket(directory))},
        "sync": sync_switches.turned_on(sync, beside=_SYNC),
        "kubelet": kubelet,
        "patrol_seconds": _PATROL_SECONDS,
        "log_level": "info",
    }
    write_private(path, json.dumps(config))
    return path


def admin_socket(directory: Path) -> Path:
    """Where the syncer of `directory` takes orders."""
    return directory / "syncer.sock"


def connector(directory: Path) -> Connect:
    """What opens connections to the syncer of `directory`."""
    return functools.partial(Client.over_unix, admin_socket(directory))


def connector_of(facts: Mapping[str, str]) -> Connect | None:
    """What opens connections to the syncer that a lease's facts of its host tell of; None if they tell of none.

    `syncer` is a Unix socket; or `syncer_address` is where it is reached by TLS, and `syncer_pki` the folder of what
    both sides show each other.
    """
    if socket := facts.get("syncer"):
        return functools.partial(Client.over_unix, Path(socket))
    if address := facts.get("syncer_address"):
        ip, _, port = address.rpartition(":")
        return over_tls(Address(ip, int(port)), pki=Path(facts["syncer_pki"]))
    return None


def over_tls(address: Address, *, pki: Path) -> Connect:
    """What opens connections to the syncer at `address`; `pki` is a folder with certificates of its authority."""
    return functools.partial(
        Client.over_tls,
        address.ip,
        address.port,
        authority=pki / "admin-api-ca.crt",
        certificate=pki / "admin-api-client.crt",
        key=pki / "admin-api-client.key",
    )


def tenant(
    *,
    name: str,
    kubeconfig: Path,
    host_namespace: str,
    kubernetes_service_ip: str,
    private_nodes_label: str,
    recycle: Mapping[str, object],
    gateway: Mapping[str, object],
) -> dict[str, object]:
    """Describe a virtual cluster to the syncer: the body of POST /v1/tenants."""
    return {
        "name": name,
        "virtual": {"kubeconfig": str(kubeconfig)},
        "host_namespace": host_namespace,
        "nodes": {"mode": "private", "label": private_nodes_label, "value": name},
        "cluster_domain": "cluster.local",
        "kubernetes_service_ip": kubernetes_service_ip,
        "dns_service_ip": None,
        "recycle": recycle,
        "gateway": gateway,
    }


def endpoint(address: Address, *, pki: Path) -> dict[str, object]:
    """Describe an endpoint that an API server takes for a kubelet; `pki` is the API server's."""
    return {
        "address": address.ip,
        "port": address.port,
        "certificate": str(pki / "kubelet.crt"),
        "key": str(pki / "kubelet.key"),
        "client_authority": str(pki / "kubelet-ca.crt"),
    }


def guarded_kubelet(address: Address, *, pki: Path, behind: Address, namespace: str) -> dict[str, object]:
    """Describe the kubelet at `behind`, which knows all pods as ones of the `namespace`, and where to guard it."""
    upstream = {"address": behind.ip, "port": behind.port, "namespace": namespace}
    return {"endpoint": endpoint(address, pki=pki), "behind": upstream}


def recycle(
    *, etcd: Path, prefix: str, freeze: Sequence[int], rest: Sequence[int], audit: Path | None
) -> dict[str, object]:
    """Describe how a tenant is put back: its keys begin with `prefix`.

    The processes `freeze` stand still meanwhile, and `rest` must have nothing left to do in the end; `audit` is the
    API server's log of requests.
    """
    told: dict[str, object] = {"etcd": str(etcd), "prefix": prefix, "freeze": list(freeze), "rest": list(rest)}
    return told if audit is None else {**told, "audit": str(audit)}


async def answering(process: RunningComponent, directory: Path, *, timeout: float) -> None:
    """Wait until the syncer answers; ProvisionError if it ends, Timeout with what was last seen."""
    began = time.monotonic()
    last_seen = "no admin socket"
    while time.monotonic() - began < timeout:
        if process.exited.done():
            raise ended_early(process)
        try:
            status, text = await asyncio.to_thread(health, connector(directory))
        except OSError as error:
            last_seen = f"{type(error).__name__}: {error}"
        else:
            if status == 200:
                return
            last_seen = f"/healthz answered {status}: {text[:200]}"
        await asyncio.sleep(_POLL_SECONDS)
    raise Timeout("The syncer's start", elapsed=timeout, last_seen=last_seen)


def add_tenant(connect: Connect, body: Mapping[str, object], *, timeout: float) -> None:
    """Have the syncer carry a virtual cluster; returns once its lists are read and its nodes mirrored."""
    _call(connect, "POST", "/v1/tenants", body, timeout=timeout)


def remove_tenant(connect: Connect, name: str, *, timeout: float) -> None:
    """Have the syncer forget a virtual cluster; what it made on the host stays for the caller to delete."""
    _call(connect, "DELETE", f"/v1/tenants/{name}", timeout=timeout)


def take_baseline(connect: Connect, name: str, *, timeout: float) -> dict[str, Any]:
    """Have the present state of a tenant be what it is put back to; ApiError (409) if it does not come to rest."""
    return _call(connect, "POST", f"/v1/tenants/{name}/baseline", timeout=timeout)


def recycled(connect: Connect, name: str, *, timeout: float, read_before: object = None) -> dict[str, Any]:
    """Put a tenant back to its baseline, and tell whether it is there (`pristine`) and if not why (`reason`).

    A tenant without a baseline goes back to what etcd said of it when it was `read_before` it was used.
    """
    return _call(connect, "POST", f"/v1/tenants/{name}/recycle", read_before, timeout=timeout)


def replaced(connect: Connect, name: str, *, freeze: Sequence[int], timeout: float) -> dict[str, Any]:
    """Put a tenant back whose controller manager was replaced by the process `freeze`, once that works."""
    return _call(connect, "POST", f"/v1/tenants/{name}/replaced", {"freeze": list(freeze)}, timeout=timeout)


def checkpoint(connect: Connect, name: str, *, timeout: float) -> dict[str, Any]:
    """Have the present state of a tenant remembered, under the name that is returned as `checkpoint`."""
    return _call(connect, "POST", f"/v1/tenants/{name}/checkpoint", timeout=timeout)


def restore(connect: Connect, name: str, *, checkpoint: str, timeout: float) -> dict[str, Any]:
    """Put a tenant back to a checkpoint; `revived` tells which objects that had ended are there again."""
    return _call(connect, "POST", f"/v1/tenants/{name}/restore", {"checkpoint": checkpoint}, timeout=timeout)


def restart(connect: Connect, name: str, *, freeze: Sequence[int], timeout: float) -> dict[str, Any]:
    """Have the syncer learn a tenant anew, with other processes to freeze."""
    return _call(connect, "POST", f"/v1/tenants/{name}/restart", {"freeze": list(freeze)}, timeout=timeout)


def state(connect: Connect, name: str, *, timeout: float) -> dict[str, Any]:
    """Read all that a tenant's data store holds, as etcd's gateway gives it."""
    return _call(connect, "GET", f"/v1/tenants/{name}/state", timeout=timeout)


def changes(connect: Connect, name: str, *, since: int, timeout: float) -> dict[str, Any]:
    """Ask for the `changed` keys of a tenant's data store, its present `revision`, and the `total` of keys."""
    return _call(connect, "GET", f"/v1/tenants/{name}/changes?since={since}", timeout=timeout)


def _call(connect: Connect, method: str, path: str, body: object = None, *, timeout: float) -> dict[str, Any]:
    client = connect(timeout=timeout)
    try:
        return client.call(method, path, body)
    finally:
        client.close()


def pending(connect: Connect, name: str, *, timeout: float) -> list[dict[str, Any]]:
    """Ask a syncer which pods of a tenant are not ready, and what both sides say of each."""
    client = connect(timeout=timeout)
    try:
        status, text = client.status(f"/v1/tenants/{name}/pending")
    finally:
        client.close()
    if status != 200:
        raise ApiError(text[:500], status=status, reason="", method="GET", path="pending")
    found: list[dict[str, Any]] = json.loads(text)
    return found


def health(connect: Connect, *, timeout: float = 5.0) -> tuple[int, str]:
    """Ask a syncer whether it follows everything: 200, or 503 and what not."""
    client = connect(timeout=timeout)
    try:
        return client.status("/healthz")
    finally:
        client.close()
