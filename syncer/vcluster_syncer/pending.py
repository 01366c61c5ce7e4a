"""Why pods are not ready yet: what both sides say of it, put side by side.

Whoever looks at the virtual cluster alone sees a pod that is Pending; the reasons may be in the syncer's queue, in the
host's quota, in its scheduler's events or in what its kubelets say. The one rule: pure, and it leaves out nothing that
speaks against a pod; how it is shown to people is for whoever asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from vcluster_syncer.model import EVENTS, NODES, PODS, Key, Object, Reference, World
from vcluster_syncer.translate import references
from vcluster_syncer.translate.pod_spec import DEFAULT_SCHEDULER

_OVER = frozenset({"Succeeded", "Failed"})
_IN_ORDER = frozenset({"Active", "Bound"})
_MOST_EVENTS = 10


def pods(
    world: World,
    *,
    host_events: Iterable[Object] = (),
    queued: Mapping[Reference, str],
    errors: Mapping[Reference, str],
) -> list[dict[str, Any]]:
    """Tell of every virtual pod that is neither ready nor at its end what it waits for, on either side."""
    about: dict[str, list[Object]] = {}
    for event in host_events:
        about.setdefault((event.get("involvedObject") or {}).get("uid") or "", []).append(event)
    waiting = [pod for pod in world.virtual_list(PODS) if _is_waiting(pod)]
    return [_explain(pod, world, about, queued, errors) for pod in waiting]


def _is_waiting(pod: Object) -> bool:
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return True
    if status.get("phase") in _OVER:
        return False
    return not any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions") or ())


def _explain(
    pod: Object,
    world: World,
    host_events: Mapping[str, list[Object]],
    queued: Mapping[Reference, str],
    errors: Mapping[Reference, str],
) -> dict[str, Any]:
    metadata = pod["metadata"]
    key = Key(metadata["namespace"], metadata["name"])
    host = world.host(PODS, key)
    return {
        "namespace": key.namespace,
        "name": key.name,
        "owners": [f"{owner['kind']}/{owner['name']}" for owner in metadata.get("ownerReferences") or ()],
        "phase": (pod.get("status") or {}).get("phase", "Pending"),
        "waits_for": [*_waits_for(pod, host, world)],
        "queue": queued.get((PODS, key), "idle"),
        "error": errors.get((PODS, key), ""),
        "used": [*_used(pod, errors)],
        "events": _events(_own_warnings(pod, world)),
        "host": None if host is None else _on_host(host, host_events.get(host["metadata"]["uid"], [])),
    }


def _waits_for(pod: Object, host: Object | None, world: World) -> Iterator[str]:
    spec = pod["spec"]
    if pod["metadata"].get("deletionTimestamp"):
        finalizers = pod["metadata"].get("finalizers") or ()
        yield f"its finalizers {', '.join(finalizers)}" if finalizers else "its end on the host"
        return
    for gate in spec.get("schedulingGates") or ():
        yield f"the scheduling gate {gate['name']}"
    scheduler = spec.get("schedulerName", DEFAULT_SCHEDULER)
    if host is None and not spec.get("nodeName") and scheduler != DEFAULT_SCHEDULER:
        yield f"the scheduler {scheduler}, which has to run in the virtual cluster"
    for resource, key in sorted(references.of_pod(_needed(pod)), key=lambda used: (used[0].kind, used[1])):
        try:
            used = world.virtual(resource, key)
        except LookupError:
            # That kind is turned off, so nobody knows.
            continue
        phase = None if used is None else (used.get("status") or {}).get("phase")
        if used is None:
            yield f"{resource.kind} {key.namespace}/{key.name}, which does not exist"
        elif phase and phase not in _IN_ORDER:
            yield f"{resource.kind} {key.namespace}/{key.name}, which is {phase}"
    if world.tenant.fake_node is None and not any(True for _ in world.virtual_list(NODES)):
        yield "a node: the virtual cluster has none"


def _needed(pod: Object) -> Object:
    """Leave only references that a kubelet insists on."""
    spec = {name: value for name, value in pod["spec"].items() if name != "imagePullSecrets"}
    return {**pod, "spec": _without_optional(spec)}


def _without_optional(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.get("optional") is True:
            return {}
        return {name: _without_optional(inside) for name, inside in value.items()}
    if isinstance(value, list):
        return [_without_optional(inside) for inside in value]
    return value


def _used(pod: Object, errors: Mapping[Reference, str]) -> Iterator[str]:
    """Yield what went wrong with objects that the pod uses."""
    for resource, key in sorted(references.of_pod(pod), key=lambda used: (used[0].kind, used[1])):
        if why := errors.get((resource, key)):
            yield f"{resource.kind} {key.namespace}/{key.name}: {why}"


def _own_warnings(pod: Object, world: World) -> Iterator[Object]:
    """Yield the warnings that the virtual cluster shows: the host's, in its words, and the syncer's own."""
    try:
        events = world.virtual_list(EVENTS, pod["metadata"]["namespace"])
    except LookupError:
        return
    for event in events:
        if (event.get("involvedObject") or {}).get("uid") == pod["metadata"]["uid"] and event.get("type") == "Warning":
            yield event


def _events(events: Iterable[Object]) -> list[dict[str, Any]]:
    latest = sorted(events, key=lambda event: int(event["metadata"]["resourceVersion"]))[-_MOST_EVENTS:]
    return [
        {
            "type": event.get("type", ""),
            "reason": event.get("reason", ""),
            "message": event.get("message", ""),
            "count": (event.get("series") or {}).get("count") or event.get("count") or 1,
        }
        for event in latest
    ]


def _on_host(host: Object, events: Iterable[Object]) -> dict[str, Any]:
    status = host.get("status") or {}
    return {
        "namespace": host["metadata"].get("namespace", ""),
        "name": host["metadata"]["name"],
        "phase": status.get("phase", "Pending"),
        "node": host["spec"].get("nodeName", ""),
        "terminating": bool(host["metadata"].get("deletionTimestamp")),
        "conditions": [
            {name: one.get(name, "") for name in ("type", "status", "reason", "message")}
            for one in status.get("conditions") or ()
            if one.get("status") != "True"
        ],
        "containers": [*_containers(status)],
        "events": _events(events),
    }


def _containers(status: Object) -> Iterator[dict[str, str]]:
    for field in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        for container in status.get(field) or ():
            state = container.get("state") or {}
            for word in ("waiting", "terminated"):
                if (said := state.get(word)) is not None:
                    reason, message = said.get("reason", ""), said.get("message", "")
                    yield {"name": container["name"], "state": word, "reason": reason, "message": message}
