"""Claims: made on the host, which finds or makes a volume for each; what it found comes back.

The virtual cluster has no binder of its own: its claim is bound when the host's is, to a volume of the same name that
stands for the host's (see `persistentvolumes`). The one rule: a claim is not shown as bound before its volume is
there, and once bound it stays so. Where its host claim was deleted behind the syncer's back it gets another one, and
its user is told that the volume is a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    STORAGE_CLASSES,
    Action,
    CreateHost,
    Key,
    Kind,
    Object,
    PatchVirtual,
    Reference,
    Refuse,
    Rule,
    Switch,
    Tenant,
    UpdateVirtualStatus,
    World,
)
from vcluster_syncer.naming import host_namespace_of, name_on_host
from vcluster_syncer.translate import metadata, node_names, volume_matching, volume_names
from vcluster_syncer.translate.scrub import messages, scrubber

SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
BOUND: Final = "pv.kubernetes.io/bind-completed"
FOLLOWED: Final = f"{ownership.PREFIX}selected-node"
"""Annotation of a virtual claim: its selected node is the host scheduler's choice, not that of one of its own."""
_FROM_HOST: Final = (
    BOUND,
    "pv.kubernetes.io/bound-by-controller",
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/storage-provisioner",
)
"""Annotations by which controllers of the host work; nothing a user of the virtual cluster may tell them."""
_SPEC: Final = ("accessModes", "resources", "selector", "storageClassName", "volumeAttributesClassName", "volumeMode")
_STATUS: Final = (
    "accessModes",
    "allocatedResourceStatuses",
    "allocatedResources",
    "capacity",
    "conditions",
    "currentVolumeAttributesClassName",
    "modifyVolumeStatus",
    "phase",
)


def _sources(virtual: Object) -> Iterable[tuple[str, Object]]:
    for field in ("dataSource", "dataSourceRef"):
        if source := virtual["spec"].get(field):
            yield field, source


def _source_key(source: Object, namespace: str) -> Key | None:
    if source.get("kind") != PERSISTENT_VOLUME_CLAIMS.kind or source.get("apiGroup"):
        return None
    return Key(source.get("namespace") or namespace, source["name"])


def _is_bound(virtual: Object) -> bool:
    return BOUND in ownership.annotations_of(virtual) and bool(virtual["spec"].get("volumeName"))


def _annotations(virtual: Object, host: Object | None, world: World) -> tuple[dict[str, str], dict[str, str]]:
    """Return which annotations of the user's the host claim gets, and which of our own."""
    dropped = {*_FROM_HOST, SELECTED_NODE}
    users = {name: text for name, text in ownership.annotations_of(virtual).items() if name not in dropped}
    notes = {}
    chosen = ownership.annotations_of(virtual).get(SELECTED_NODE)
    if chosen and FOLLOWED not in users and (node := node_names.to_host(chosen, world)):
        notes[SELECTED_NODE] = node
    known = virtual["spec"].get("volumeName")
    if _is_bound(virtual) and (host is None or ownership.annotations_of(host).get(volume_names.VOLUME) == known):
        notes[volume_names.VOLUME] = known
    return users, notes


def to_host(key: Key, virtual: Object, host: Object | None, world: World) -> dict[str, Any]:
    """Make the host claim of a virtual one; `host` is the present one."""
    tenant = world.tenant
    spec = {field: virtual["spec"][field] for field in _SPEC if field in virtual["spec"]}
    for field, source in _sources(virtual):
        if used := _source_key(source, key.namespace):
            there = host_namespace_of(tenant, used.namespace)
            spec[field] = {
                **{name: value for name, value in source.items() if name != "namespace"},
                "name": name_on_host(tenant, PERSISTENT_VOLUME_CLAIMS.kind, *used),
                **({"namespace": there} if there != host_namespace_of(tenant, key.namespace) else {}),
            }
    if not _is_bound(virtual) and (wish := volume_matching.wish_of(key, virtual, world)):
        spec["volumeName"] = wish
    users, notes = _annotations(virtual, host, world)
    own = {**virtual, "metadata": {**virtual["metadata"], "annotations": users}}
    return {
        "apiVersion": "v1",
        "kind": PERSISTENT_VOLUME_CLAIMS.kind,
        "metadata": metadata.to_host(key, own, tenant, PERSISTENT_VOLUME_CLAIMS, notes=notes),
        "spec": spec,
    }


def _difference(host: Object, wanted: Object) -> Object:
    # The rest of a claim can't be changed, on either side; and what the user left open is the host's to fill in.
    fields = [field for field in ("resources", "volumeAttributesClassName") if field in wanted["spec"]]
    spec = decide.fields_patch(host["spec"], wanted["spec"], fields)
    return {**metadata.difference(host, wanted), **({"spec": spec} if spec else {})}


def _refused(key: Key, virtual: Object) -> Sequence[Action]:
    for _, source in _sources(virtual):
        if _source_key(source, key.namespace) is None:
            kind = f"{source['apiGroup']} {source['kind']}" if source.get("apiGroup") else source["kind"]
            message = (
                f"PersistentVolumeClaim {key.namespace}/{key.name} is not on the host: its data source is the {kind} "
                f"{source['name']!r}, and of those nothing is on the host. Claims can be filled from other claims only."
            )
            return (Refuse(PERSISTENT_VOLUME_CLAIMS, key, "DataSourceNotCarried", message),)
    return ()


def _remade(key: Key, virtual: Object) -> Refuse:
    message = (
        f"The volume {virtual['spec']['volumeName']} of this claim was deleted on the host, and its data with it. "
        "The claim gets a new and empty one there."
    )
    return Refuse(PERSISTENT_VOLUME_CLAIMS, key, "VolumeRemade", message)


def _annotations_back(virtual: Object, host: Object, world: World) -> dict[str, str | None]:
    here, there = ownership.annotations_of(virtual), ownership.annotations_of(host)
    # A new host claim for one that was bound is on its way to where the virtual one is already.
    is_behind = _is_bound(virtual) and BOUND not in there
    wanted: dict[str, str | None] = {} if is_behind else {name: there.get(name) for name in _FROM_HOST}
    if SELECTED_NODE not in metadata.carried(host).get("annotations", ()):
        node = node_names.to_virtual(there.get(SELECTED_NODE), world)
        if node is not None or FOLLOWED in here:
            wanted[SELECTED_NODE], wanted[FOLLOWED] = node, None if node is None else "true"
    return {name: text for name, text in wanted.items() if here.get(name) != text}


def _spec_back(virtual: Object, host: Object, world: World) -> dict[str, str]:
    back: dict[str, str] = {}
    # Before it is bound it is a wish of ours, which may not come true.
    is_bound = BOUND in ownership.annotations_of(host)
    if is_bound and (name := volume_names.of_claim(host, world)) and not virtual["spec"].get("volumeName"):
        back["volumeName"] = name
    # None given, and none was the default when it was made: then the host's default is filled in later, as ever.
    if virtual["spec"].get("storageClassName") is None and (found := host["spec"].get("storageClassName")):
        back["storageClassName"] = found
    return back


def _has_volume(virtual: Object, world: World) -> bool:
    volume = world.virtual(PERSISTENT_VOLUMES, Key("", virtual["spec"].get("volumeName") or ""))
    return volume is not None and (volume.get("status") or {}).get("phase") == "Bound"


def _back(key: Key, virtual: Object, host: Object, world: World) -> Sequence[Action]:
    own = virtual["metadata"]
    patch: dict[str, Any] = {}
    if annotations := _annotations_back(virtual, host, world):
        patch["metadata"] = {"annotations": annotations}
    if spec := _spec_back(virtual, host, world):
        patch["spec"] = spec
    if patch:
        # The status follows when the answer to this one is there: its resourceVersion is needed.
        return (PatchVirtual(PERSISTENT_VOLUME_CLAIMS, key, own["uid"], patch),)
    before, there = virtual.get("status") or {}, host.get("status") or {}
    if there.get("phase") == "Bound" and not _has_volume(virtual, world):
        return ()
    if "phase" not in there or (there["phase"] == "Pending" and _is_bound(virtual)):
        # Its host claim is a new one; what was bound once never waits for a volume again.
        return ()
    scrub = scrubber(PERSISTENT_VOLUME_CLAIMS, key, virtual=virtual, host=host, world=world)
    wanted = messages({field: there[field] for field in _STATUS if field in there}, scrub)
    if not decide.fields_patch(before, wanted, _STATUS):
        return ()
    kept = {field: value for field, value in before.items() if field not in _STATUS}
    return (UpdateVirtualStatus(PERSISTENT_VOLUME_CLAIMS, {**virtual, "status": {**kept, **wanted}}),)


def reconcile(key: Key, virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
    """Carry a claim, and bring back what the host made of it."""
    if virtual is not None and host is None and (refused := _refused(key, virtual)):
        return refused
    actions = decide.carry(
        PERSISTENT_VOLUME_CLAIMS,
        key,
        virtual,
        host,
        world,
        to_host=lambda wanted: to_host(key, wanted, host, world),
        difference=_difference,
    )
    if virtual is None:
        return actions
    if host is None:
        is_new = any(isinstance(action, CreateHost) for action in actions)
        return (*actions, _remade(key, virtual)) if is_new and _is_bound(virtual) else actions
    if not ownership.carries(host, virtual) or decide.is_terminating(host):
        return actions
    return (*actions, *_back(key, virtual, host, world))


def references(virtual: Object) -> frozenset[Reference]:
    """Return what a claim uses: its volume, its class, the claims it is filled from."""
    spec, namespace = virtual["spec"], virtual["metadata"]["namespace"]
    named = {(PERSISTENT_VOLUMES, Key("", spec.get("volumeName") or ""))}
    named.add((STORAGE_CLASSES, Key("", spec.get("storageClassName") or "")))
    sources = (_source_key(source, namespace) for _, source in _sources(virtual))
    named.update((PERSISTENT_VOLUME_CLAIMS, used) for used in sources if used)
    return frozenset((resource, used) for resource, used in named if used.name)


def _host_key(host: Object, tenant: Tenant) -> Key | None:
    return ownership.virtual_key(host, tenant, kind=PERSISTENT_VOLUME_CLAIMS.kind)


def _wakes(item: Object, world: World) -> Iterable[Reference]:
    yield from volume_matching.wakes(item, world)
    # What stands for its volume in the virtual cluster is made from the claim, too.
    key = ownership.virtual_key(item, world.tenant, kind=PERSISTENT_VOLUME_CLAIMS.kind)
    if key is not None and (name := volume_names.of_claim(item, world)):
        yield PERSISTENT_VOLUMES, Key("", name)


KIND = Kind(
    resource=PERSISTENT_VOLUME_CLAIMS,
    reconcile=reconcile,
    host_key=_host_key,
    references=references,
    wakes=_wakes,
    switch=Switch("to_host", "persistent_volume_claims", on=True),
    host_rules=(Rule.to_carry(PERSISTENT_VOLUME_CLAIMS),),
)
