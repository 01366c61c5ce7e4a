"""Templates in the cache: made once per version and arguments by a full start, then read in milliseconds.

The one rule: a template is complete or not there. It is made under a lock that other runs wait for, written beside its
final name and moved into place; its name holds a digest of everything that shaped it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pytest_vcluster.controlplane import plane, template_name
from pytest_vcluster.controlplane.component import Starter
from pytest_vcluster.controlplane.datastore import Datastore
from pytest_vcluster.controlplane.http import Client
from pytest_vcluster.controlplane.last_words import ended_early
from pytest_vcluster.controlplane.networks import ORIGIN
from pytest_vcluster.controlplane.plane import ControlPlane, PlaneSettings
from pytest_vcluster.controlplane.template import (
    ROOT_CA_BUNDLE,
    ROOT_CA_CONFIGMAP,
    Template,
    from_state,
)
from pytest_vcluster.errors import ApiError, ProvisionError, Timeout

_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_AGGREGATED_ROLES = ("admin", "edit", "view")
_QUIET_SECONDS = 1.5
_POLL_SECONDS = 0.1


async def get(settings: PlaneSettings, starter: Starter, *, cache: Path, progress: Callable[[str], None]) -> Template:
    """Read the template for `settings` from `cache`, or make it there first (5 s, once per version).

    `settings` names a control plane that does not run yet; its name and directory are used for the one that is started.
    """
    path = template_name.path(settings, cache)
    found = _read(path)
    if found is not None:
        return found
    from filelock import FileLock  # noqa: PLC0415 - start-up time: nearly every run finds its template

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(f"{path}.lock", thread_local=False)
    await asyncio.to_thread(lock.acquire)
    try:
        found = _read(path)
        if found is not None:
            return found
        progress(f"Preparing the template of Kubernetes {settings.version} (once per version, about 5 s)")
        made = await _make(settings, starter)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_bytes(made.dump())
        partial.replace(path)
        return made
    finally:
        lock.release()


def _read(path: Path) -> Template | None:
    try:
        return Template.load(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        # Another version of this plugin, or a damaged disk: make it again.
        return None


async def _make(settings: PlaneSettings, starter: Starter) -> Template:
    full = replace(
        settings, service_range=ORIGIN.cidr, kubernetes_service_ip=ORIGIN.kubernetes_ip, ready_path="/readyz"
    )
    async with plane.running(full, starter) as control_plane:
        client = control_plane.api()
        datastore = Datastore(full.etcd_socket)
        try:
            return await _settled(control_plane, client, datastore)
        finally:
            client.close()
            datastore.close()


async def _settled(control_plane: ControlPlane, client: Client, datastore: Datastore) -> Template:
    settings = control_plane.settings
    began = time.monotonic()
    quiet_since, seen, missing = began, b"", "everything"
    while time.monotonic() - began < settings.timeout:
        for component in control_plane.components:
            if component.exited.done():
                raise ended_early(component)
        state = await asyncio.to_thread(datastore.read, settings.etcd_prefix)
        digest = hashlib.sha256(repr(sorted(state.items())).encode()).digest()
        now = time.monotonic()
        if digest != seen:
            quiet_since, seen = now, digest
        missing = await asyncio.to_thread(missing_objects, client)
        if not missing and now - quiet_since >= _QUIET_SECONDS:
            return from_state(settings.version, state, await asyncio.to_thread(root_ca, client, state))
        await asyncio.sleep(_POLL_SECONDS)
    raise Timeout(
        f"Settling of the template for Kubernetes {settings.version}",
        elapsed=settings.timeout,
        last_seen=f"still missing: {missing}" if missing else "all objects there, but they kept changing",
    )


def missing_objects(client: Client) -> str:
    """What a settled cluster has and this one has not yet; empty if it has all."""
    for namespace in _NAMESPACES:
        for path in (f"serviceaccounts/{'default'}", "configmaps/kube-root-ca.crt"):
            try:
                client.call("GET", f"/api/v1/namespaces/{namespace}/{path}")
            except ApiError as error:
                return f"{namespace}/{path} ({error.status})"
    for role in _AGGREGATED_ROLES:
        try:
            found = client.call("GET", f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{role}")
        except ApiError as error:
            return f"clusterrole {role} ({error.status})"
        if not found.get("rules"):
            return f"the aggregated rules of clusterrole {role}"
    return ""


def root_ca(client: Client, state: Mapping[bytes, bytes]) -> dict[bytes, dict[str, Any]]:
    """Read the objects of `state` that publish the root certificate, by their keys."""
    found: dict[bytes, dict[str, Any]] = {}
    for key in state:
        if match := ROOT_CA_CONFIGMAP.fullmatch(key):
            namespace = quote(match[1].decode())
            found[key] = client.call("GET", f"/api/v1/namespaces/{namespace}/configmaps/kube-root-ca.crt")
        elif match := ROOT_CA_BUNDLE.fullmatch(key):
            found[key] = _bundle(client, (match[1] + match[2]).decode())
    return found


def _bundle(client: Client, name: str) -> dict[str, Any]:
    versions = client.call("GET", "/apis/certificates.k8s.io")["versions"]
    for group_version in (version["groupVersion"] for version in versions):
        with contextlib.suppress(ApiError):  # not every version of the group has the kind
            found = client.call("GET", f"/apis/{group_version}/clustertrustbundles/{quote(name)}")
            return {"apiVersion": group_version, "kind": "ClusterTrustBundle", **found}
    message = f"ClusterTrustBundle {name} is stored, but no version of certificates.k8s.io serves it"
    raise ProvisionError(message)
