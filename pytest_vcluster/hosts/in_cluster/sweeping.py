"""Removing from a host what runs left that are dead: whose Lease was not renewed for long enough, or is gone.

The one rule: only what bears the label of a run is ever touched, and never what belongs to a run that lives. Clocks of
this machine have no say: the host's own is compared with what was written last, and with what is written next.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pytest_vcluster.controlplane.http import Client
from pytest_vcluster.errors import ApiError
from pytest_vcluster.hosts.in_cluster import heartbeat, objects
from pytest_vcluster.hosts.in_cluster.objects import RUN_LABEL

_LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
_SEEN_AGAIN_SECONDS = heartbeat.EVERY_SECONDS * 1.5
_CLUSTER_WIDE = ("ClusterRoleBinding", "ClusterRole")


def sweep(client: Client, namespace: str, *, patient: bool) -> list[str]:
    """Delete what dead runs left in `namespace`, and of theirs outside of it; returns the names of what was deleted.

    A run whose Lease looks old may have a clock that goes wrong. With `patient` it is watched for a renewal first;
    without, only what our clock takes to be dead for ten times as long is deleted.
    """
    leases = _leases(client, namespace)
    roots = _labelled(client, objects.collection("Service", namespace))
    known = {run_of(found) for found in roots} | set(leases)
    suspects = {run for run in known if is_silent(leases.get(run), time.time(), patient=patient)}
    if suspects and patient:
        time.sleep(_SEEN_AGAIN_SECONDS)
        later = _leases(client, namespace)
        suspects = {run for run in suspects if renewed_at(later.get(run)) == renewed_at(leases.get(run))}
    return [name for run in sorted(suspects) for name in _delete(client, namespace, run, roots)]


def sweep_own(client: Client, namespace: str, run: str) -> list[str]:
    """Delete what a service of this very run has left that was killed; for the one that takes its place, at its start.

    Else its Lease would be in the way, and its clusters live for as long as the run.
    """
    return _delete(client, namespace, run, _labelled(client, objects.collection("Service", namespace), run))


def run_of(found: Mapping[str, Any]) -> str:
    """The run that an object belongs to."""
    return str((found["metadata"].get("labels") or {}).get(RUN_LABEL, ""))


def renewed_at(lease: Mapping[str, Any] | None) -> str:
    """What a Lease says of its last renewal; empty without one."""
    return "" if lease is None else str((lease.get("spec") or {}).get("renewTime", ""))


def is_silent(lease: Mapping[str, Any] | None, now: float, *, patient: bool) -> bool:
    """Whether a run seems to be dead, by its Lease and a clock (seconds since 1970)."""
    renewed = renewed_at(lease)
    if not renewed:
        return patient
    age = now - datetime.fromisoformat(renewed.replace("Z", "+00:00")).timestamp()
    return age > heartbeat.SECONDS * (1 if patient else 10)


def _leases(client: Client, namespace: str) -> dict[str, Any]:
    return {run_of(lease): lease for lease in _labelled(client, _LEASES.format(namespace))}


def _labelled(client: Client, collection: str, run: str = "") -> Sequence[dict[str, Any]]:
    selector = quote(f"{RUN_LABEL}={run}" if run else RUN_LABEL, safe="")
    found: list[dict[str, Any]] = client.call("GET", f"{collection}?labelSelector={selector}")["items"]
    return found


def _delete(client: Client, namespace: str, run: str, roots: Iterable[Mapping[str, Any]]) -> list[str]:
    deleted = []
    services = objects.collection("Service", namespace)
    for root in (found for found in roots if run_of(found) == run):
        name = root["metadata"]["name"]
        _gone(client, f"{services}/{name}", uid=root["metadata"]["uid"])
        deleted.append(f"service/{name}")
    for kind in _CLUSTER_WIDE:
        collection = objects.collection(kind, namespace)
        try:
            found = _labelled(client, collection, run)
        except ApiError as error:
            if error.status != 403:
                raise
            continue  # then this user's runs can't have made any
        for left in found:
            _gone(client, f"{collection}/{left['metadata']['name']}", uid=left["metadata"]["uid"])
            deleted.append(f"{kind.lower()}/{left['metadata']['name']}")
    lease = f"{_LEASES.format(namespace)}/{heartbeat.name_of(run)}"
    try:
        client.call("DELETE", lease)
    except ApiError as error:
        if error.status != 404:
            raise
    return deleted


def _gone(client: Client, path: str, *, uid: str) -> None:
    try:
        client.call("DELETE", path, {"propagationPolicy": "Background", "preconditions": {"uid": uid}})
    except ApiError as error:
        if error.status not in (404, 409):
            raise
