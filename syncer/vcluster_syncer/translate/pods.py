"""Pods: made on the host from the virtual ones, bound, watched, and ended from either side.

The virtual cluster has no scheduler: the host's decides, and the virtual pod is bound to the mirrored node before
any status of the host is believed. The one rule of endings: whichever side ends a pod first, the other follows with
the same grace, and the virtual pod disappears only once its host pod has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import (
    NODES,
    PODS,
    SECRETS,
    Action,
    Bind,
    CreateHost,
    DeleteVirtual,
    Key,
    Kind,
    Object,
    PatchVirtual,
    Reference,
    Rule,
    Tenant,
    UpdateVirtualStatus,
    World,
)
from vcluster_syncer.naming import name_on_host
from vcluster_syncer.translate import (
    host_metadata,
    metadata,
    node_names,
    pod_claims,
    pod_classes,
    pod_refusals,
    pod_spec,
    pod_status,
    pod_tokens,
    pod_updates,
    references,
)

_DEFAULT_GRACE = 30
_ENDED = frozenset({"Succeeded", "Failed"})


def _grace(pod: Object) -> int:
    granted = pod["metadata"].get("deletionGracePeriodSeconds")
    if granted is None:
        granted = pod["spec"].get("terminationGracePeriodSeconds")
    return _DEFAULT_GRACE if granted is None else int(granted)


def _has_started(pod: Object) -> bool:
    status = pod.get("status") or {}
    return bool(status.get("startTime")) or status.get("phase", "Pending") != "Pending"


def _delete_virtual(key: Key, virtual: Object, grace: int) -> Sequence[Action]:
    own = virtual["metadata"]
    if own.get("deletionTimestamp") and own.get("deletionGracePeriodSeconds") == grace:
        # Said already; somebody's finalizer holds it.
        return ()
    return (DeleteVirtual(PODS, key, own["uid"], grace),)


def _without(secret: Object | None) -> Sequence[Action]:
    return () if secret is None or decide.is_terminating(secret) else (decide.redo(SECRETS, secret),)


def _end_host(host: Object, grace: int) -> Sequence[Action]:
    own = host["metadata"]
    if own.get("deletionTimestamp") and own.get("deletionGracePeriodSeconds", 0) <= grace:
        return ()
    return (decide.redo(PODS, host, grace_seconds=grace),)


def _may_be_carried(virtual: Object, world: World) -> bool:
    spec = virtual["spec"]
    if spec.get("nodeName"):
        return node_names.to_host(spec["nodeName"], world) is not None
    # Somebody in the virtual cluster is its scheduler: it waits for his decision.
    return not world.tenant.private_nodes or (
        spec.get("schedulerName", pod_spec.DEFAULT_SCHEDULER) == pod_spec.DEFAULT_SCHEDULER
    )


def _create(key: Key, virtual: Object, secret: Object | None, world: World) -> Sequence[Action]:
    if not _may_be_carried(virtual, world) or not pod_classes.is_complete(virtual, world):
        return ()
    if (refused := pod_refusals.of(key, virtual, world)) is not None:
        return (refused,)
    if not pod_claims.is_complete(virtual, world):
        return ()
    name = name_on_host(world.tenant, PODS.kind, *key)
    if world.host_named(PODS, name) is not None:
        return (decide.refuse_foreign(PODS, key, name),)
    tokens = pod_tokens.plan(key, virtual, secret, world)
    if not tokens.is_complete:
        return tokens.actions
    return (*tokens.actions, CreateHost(PODS, pod_spec.to_host(key, virtual, world)))


def _lost(virtual: Object) -> Sequence[Action]:
    """End a pod of which the host can tell nothing more; who holds it by a finalizer, as Jobs do, waits for an end."""
    status = virtual.get("status") or {}
    if not virtual["metadata"].get("finalizers") or status.get("phase") in _ENDED:
        return ()
    ended = {
        "phase": "Failed",
        "reason": "HostPodGone",
        "message": "The pod is gone from the host. How its containers ended is not known.",
    }
    return (UpdateVirtualStatus(PODS, {**virtual, "status": {**status, **ended}}),)


def _without_host(key: Key, virtual: Object, secret: Object | None, world: World) -> Sequence[Action]:
    if decide.is_terminating(virtual) or _has_started(virtual):
        return (*_without(secret), *_lost(virtual), *_delete_virtual(key, virtual, 0))
    return _create(key, virtual, secret, world)


def _endings(key: Key, virtual: Object, host: Object) -> Sequence[Action]:
    ends_here, ends_there = decide.is_terminating(virtual), decide.is_terminating(host)
    if ends_here and (not ends_there or _grace(virtual) < _grace(host)):
        return _end_host(host, _grace(virtual))
    if ends_there and (not ends_here or _grace(host) < _grace(virtual)):
        return _delete_virtual(key, virtual, _grace(host))
    return ()


def _status(key: Key, virtual: Object, host: Object, world: World) -> Sequence[Action]:
    bound, placed = virtual["spec"].get("nodeName"), host["spec"].get("nodeName")
    if bound:
        node = node_names.to_host(bound, world)
        if node is not None and placed != node and not decide.is_terminating(host):
            # Bound by somebody else than us, to another node: make it anew, there.
            return (decide.redo(PODS, host, grace_seconds=0),)
    elif placed:
        node = node_names.to_virtual(placed, world)
        if node is None or world.virtual(NODES, Key("", node)) is None or decide.is_terminating(virtual):
            return ()
        return (Bind(key, virtual["metadata"]["uid"], node),)
    status = pod_status.to_virtual(key, virtual, host, world)
    if status == virtual.get("status"):
        return ()
    return (UpdateVirtualStatus(PODS, {**virtual, "status": status}),)


def reconcile(key: Key, virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
    """Bring a pod's two sides together."""
    secret = world.host(SECRETS, key, owner=PODS)
    if virtual is None:
        # Gone without waiting for the host, so it was deleted by force: so is the host pod.
        return (*(_end_host(host, 0) if host is not None else ()), *_without(secret))
    if host is None:
        return _without_host(key, virtual, secret, world)
    if not ownership.carries(host, virtual):
        return _end_host(host, 0)
    actions = list(_endings(key, virtual, host))
    if not decide.is_terminating(host):
        if not decide.is_terminating(virtual):
            actions += pod_updates.to_host(key, virtual, host, world)
        if (gates := pod_status.gates_to_host(virtual, host)) is not None:
            actions.append(gates)
    if shown := host_metadata.to_virtual(
        virtual, host, metadata.carried(host), lambda: pod_status.scrub(key, virtual, host, world)
    ):
        # The status follows when the answer to this one is there: its resourceVersion is needed.
        own = virtual["metadata"]
        actions.append(PatchVirtual(PODS, key, own["uid"], shown, resource_version=own.get("resourceVersion", "")))
    else:
        actions += _status(key, virtual, host, world)
    if not decide.is_terminating(host) and (host.get("status") or {}).get("phase") not in _ENDED:
        actions += pod_tokens.plan(key, virtual, secret, world).actions
    return actions


def _wakes(pod: Object, world: World) -> Iterable[Reference]:
    # Nodes that are made up are there for the pods on them.
    if world.tenant.fake_node is not None and (node := pod["spec"].get("nodeName")):
        yield NODES, Key("", node)


def _host_key(host: Object, tenant: Tenant) -> Key | None:
    return ownership.virtual_key(host, tenant, kind=PODS.kind)


KIND = Kind(
    resource=PODS,
    reconcile=reconcile,
    host_key=_host_key,
    references=references.of_pod,
    wakes=_wakes,
    companions=(SECRETS,),
    host_rules=(
        Rule.to_carry(PODS),
        Rule.to_patch(PODS, "ephemeralcontainers", "resize", "status"),
        Rule.to_carry(SECRETS),
        # The gateway's. Which of the two verbs it takes to open a stream depends on the protocol that is spoken.
        Rule("", ("pods/log",), ("get",)),
        Rule("", ("pods/attach", "pods/exec", "pods/portforward"), ("create", "get")),
    ),
)
