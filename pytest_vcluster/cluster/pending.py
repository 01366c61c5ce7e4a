"""Why pods are not ready: the syncer's account of both sides, as text for people.

What a test sees of a pod that does not start is `Pending`; the reason may be on the host. The one rule: this decorates
errors and evidence, so whoever only decorates is never failed by it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pytest_vcluster.errors import ApiError, VClusterError

_DECORATION_SECONDS = 2.0
_SHOWN = 3
_WORKLOADS = frozenset({"Pod", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"})


def pods(host: Mapping[str, str], cluster: str, *, timeout: float) -> list[dict[str, Any]] | None:
    """Ask which pods of `cluster` are not ready; None while nobody carries them, as when the host starts."""
    from pytest_vcluster.hosts import syncer  # noqa: PLC0415 - start-up time

    connect = syncer.connector_of(host)
    if connect is None:
        return None
    try:
        return syncer.pending(connect, cluster, timeout=timeout)
    except FileNotFoundError:
        return None
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def explain(host: Mapping[str, str], cluster: str, *, kind: str, name: str, namespace: str) -> str:
    """Tell why the pods of one workload are not ready; empty if that is not known or there is nothing to tell."""
    if kind not in _WORKLOADS:
        return ""
    with contextlib.suppress(OSError, VClusterError, ValueError):
        found = pods(host, cluster, timeout=_DECORATION_SECONDS) or []
        own = [pod for pod in found if pod["namespace"] == namespace and _belongs(pod, kind, name)]
        shown = text(own[:_SHOWN])
        return shown + (f"and {len(own) - _SHOWN} more\n" if len(own) > _SHOWN else "")
    return ""


def text(found: Sequence[Mapping[str, Any]]) -> str:
    """Spell what the syncer told, a paragraph for each pod."""
    return "".join("\n  ".join(_lines(pod)) + "\n" for pod in found)


def _belongs(pod: Mapping[str, Any], kind: str, name: str) -> bool:
    if kind == "Pod":
        return bool(pod["name"] == name)
    if kind == "Deployment":
        return any(owner.startswith(f"ReplicaSet/{name}-") for owner in pod["owners"])
    return f"{kind}/{name}" in pod["owners"]


def _lines(pod: Mapping[str, Any]) -> Iterator[str]:
    host = pod["host"]
    where = "not on the host" if host is None else f"on the host {host['name']} in {host['namespace']}"
    yield f"Pod {pod['namespace']}/{pod['name']}: {pod['phase']}, {where}"
    yield from (f"waits for {what}" for what in pod["waits_for"])
    if pod["error"]:
        yield f"the syncer can't carry it: {pod['error']}"
    elif pod["queue"] != "idle":
        yield f"in the syncer's queue: {pod['queue']}"
    yield from (f"it uses {what}" for what in pod["used"])
    if host is not None:
        yield from _of_host(host)
    yield from _events(pod["events"], "event")


def _of_host(host: Mapping[str, Any]) -> Iterator[str]:
    state = ", being deleted" if host["terminating"] else ""
    yield f"host pod: {host['phase']}, {'on ' + host['node'] if host['node'] else 'on no node yet'}{state}"
    for one in host["conditions"]:
        yield f"host condition {one['type']}={one['status']}{_because(one)}"
    for one in host["containers"]:
        yield f"host container {one['name']}: {one['state']}{_because(one)}"
    yield from _events(host["events"], "host event")


def _events(events: Iterable[Mapping[str, Any]], word: str) -> Iterator[str]:
    for event in events:
        times = f" ({event['count']} times)" if event["count"] > 1 else ""
        yield f"{word} {event['reason']}{times}: {event['message']}"


def _because(one: Mapping[str, Any]) -> str:
    return "".join(f": {one[name]}" for name in ("reason", "message") if one[name])
