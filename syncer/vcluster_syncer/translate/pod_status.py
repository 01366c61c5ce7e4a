"""A pod's status on its way back: faithful, but about the virtual pod.

The one rule: what the virtual API server fixed or the user's controllers said there is kept, everything else is the
host's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from vcluster_syncer import ownership
from vcluster_syncer.model import PODS, Key, Object, PatchHost, World
from vcluster_syncer.translate import node_names, references
from vcluster_syncer.translate.pod_spec import GENERATION
from vcluster_syncer.translate.scrub import Scrub, messages, scrubber

# Set by the host's kubelet; gone there means gone. Others may have been set in the virtual cluster.
_OF_THE_HOST: Final = frozenset(
    {
        "ContainersReady",
        "Initialized",
        "PodReadyToStartContainers",
        "PodResizeInProgress",
        "PodResizePending",
        "Ready",
    }
)
# Immutable after creation, or kept by a controller of the virtual cluster.
_OF_THE_VIRTUAL: Final = ("qosClass", "resourceClaimStatuses", "extendedResourceClaimStatus")
_CONTAINER_STATUSES: Final = {
    "containerStatuses": "containers",
    "initContainerStatuses": "initContainers",
    "ephemeralContainerStatuses": "ephemeralContainers",
}


def _with_observed(made: dict[str, Any], previous: Object, virtual: Object, host: Object) -> dict[str, Any]:
    """Translate an observed generation; one that says nothing about the virtual pod's leaves the previous one."""
    observed = made.pop("observedGeneration", None)
    if observed is None or observed < host["metadata"].get("generation", 0):
        # So does the API server: a write that leaves it out does not clear it.
        translated = previous.get("observedGeneration")
    else:
        carried = int(ownership.annotations_of(host).get(GENERATION) or 0)
        translated = min(carried, virtual["metadata"].get("generation", 0))
    if translated:
        made["observedGeneration"] = translated
    return made


def _gates(virtual: Object) -> frozenset[str]:
    return frozenset(gate["conditionType"] for gate in virtual["spec"].get("readinessGates") or ())


def _by_type(status: Object) -> dict[str, Object]:
    return {condition["type"]: condition for condition in status.get("conditions") or ()}


def _conditions(virtual: Object, host: Object) -> Iterator[dict[str, Any]]:
    before, there = _by_type(virtual.get("status") or {}), _by_type(host.get("status") or {})
    gates = _gates(virtual)
    for kind, condition in there.items():
        if kind in gates and kind in before:
            yield dict(before[kind])
        else:
            yield _with_observed(dict(condition), before.get(kind) or {}, virtual, host)
    for kind, condition in before.items():
        if kind not in there and kind not in _OF_THE_HOST:
            yield dict(condition)


def _only_known(statuses: Iterable[Object], containers: Iterable[Object]) -> list[Object]:
    known = {container["name"] for container in containers}
    return [status for status in statuses if status["name"] in known]


def scrub(key: Key, virtual: Object, host: Object, world: World) -> Scrub:
    """Make the function that takes the host's names out of a text about a pod."""
    return scrubber(PODS, key, virtual=virtual, host=host, world=world, uses=references.of_pod(virtual))


def to_virtual(key: Key, virtual: Object, host: Object, world: World) -> dict[str, Any]:
    """Make the virtual pod's status from the host pod's."""
    before, there = virtual.get("status") or {}, host.get("status") or {}
    scrubbed = scrub(key, virtual, host, world)
    made = {name: messages(value, scrubbed) for name, value in there.items() if name not in _OF_THE_VIRTUAL}
    if isinstance(made.get("message"), str):
        made["message"] = scrubbed(made["message"])
    made = _with_observed(made, before, virtual, host)
    made.update((name, before[name]) for name in _OF_THE_VIRTUAL if name in before)
    for field, source in _CONTAINER_STATUSES.items():
        if field in made:
            made[field] = _only_known(made[field], virtual["spec"].get(source) or ())
    conditions = [messages(condition, scrubbed) for condition in _conditions(virtual, host)]
    for name, value in (("conditions", conditions), *((field, made.get(field)) for field in _CONTAINER_STATUSES)):
        made[name] = value
        if not value:
            made.pop(name)
    if "nominatedNodeName" in made:
        node = node_names.to_virtual(made.pop("nominatedNodeName"), world)
        if node:
            made["nominatedNodeName"] = node
    return made


def gates_to_host(virtual: Object, host: Object) -> PatchHost | None:
    """Return the patch that tells the host's kubelet what the user's controllers said about readiness gates."""
    before, there = _by_type(virtual.get("status") or {}), _by_type(host.get("status") or {})
    said = {
        kind: {name: value for name, value in before[kind].items() if name not in {"observedGeneration"}}
        for kind in sorted(_gates(virtual))
        if kind in before and before[kind].get("status") != (there.get(kind) or {}).get("status")
    }
    if not said:
        return None
    metadata = host["metadata"]
    conditions = [*({**there, **said}).values()]
    return PatchHost(
        PODS,
        metadata["name"],
        metadata["uid"],
        {"status": {"conditions": conditions}},
        subresource="status",
        resource_version=metadata.get("resourceVersion", ""),
    )
