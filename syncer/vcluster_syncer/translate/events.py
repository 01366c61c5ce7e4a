"""Events of the host about a tenant's objects, told in the virtual cluster's words.

The key of an event is the host's, with no namespace: whose event it is takes a look at the world. The one rule: an
event reaches the virtual cluster only when its object, by name and uid, is this tenant's and is there; everything
else the host says is nobody's business here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import (
    EVENTS,
    NAMESPACES,
    Action,
    CreateVirtual,
    Key,
    Kind,
    Later,
    Object,
    PatchVirtual,
    Resource,
    Rule,
    Switch,
    Tenant,
    World,
)
from vcluster_syncer.naming import digest
from vcluster_syncer.translate import node_names, scrub

_INVOLVED: Final[Mapping[str, Resource]] = {resource.kind: resource for resource in scrub.CARRIED}
_CHANGING: Final = ("count", "lastTimestamp", "message", "series", "type")
_KEPT: Final = (
    "action",
    "count",
    "eventTime",
    "firstTimestamp",
    "lastTimestamp",
    "reason",
    "reportingComponent",
    "series",
    "type",
)
_LONGEST: Final = 253
# The watches of events and of what they are about are not in step.
_PATIENCE: Final = 10.0
_RETRY: Final = 0.5


def _last_seen(event: Object) -> float:
    said = (event.get("series") or {}).get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    said = said or event["metadata"].get("creationTimestamp")
    try:
        return datetime.fromisoformat(said).timestamp() if said else 0.0
    except ValueError:
        return 0.0


def _subject(reference: Object, world: World) -> tuple[Resource, Key, Object, Object] | None:
    resource = _INVOLVED.get(reference.get("kind") or "")
    host = world.host_named(resource, reference.get("name") or "") if resource is not None else None
    if resource is None or host is None or reference.get("uid") not in {None, "", host["metadata"]["uid"]}:
        return None
    key = ownership.virtual_key(host, world.tenant, kind=resource.kind)
    virtual = world.virtual(resource, key) if key is not None else None
    if key is None or virtual is None or not ownership.carries(host, virtual):
        return None
    return resource, key, virtual, host


def _name(event: Object, host: Object, key: Key) -> str:
    name: str = event["metadata"]["name"]
    prefix = f"{host['metadata']['name']}."
    suffix = name.removeprefix(prefix) if name.startswith(prefix) else digest(name)
    return f"{key.name[: _LONGEST - 1 - len(suffix)].rstrip('-.')}.{suffix}"


def to_virtual(event: Object, subject: tuple[Resource, Key, Object, Object], world: World) -> dict[str, Any]:
    """Make the virtual event of a host event about `subject`: its kind, key, virtual and host object."""
    resource, key, virtual, host = subject
    kind = world.kind(resource)
    uses = kind.references(virtual) if kind is not None else ()
    scrubbed = scrub.scrubber(resource, key, virtual=virtual, host=host, world=world, uses=uses)
    made: dict[str, Any] = {name: event[name] for name in _KEPT if event.get(name) is not None}
    made.update(apiVersion="v1", kind="Event")
    made["metadata"] = {"name": _name(event, host, key), "namespace": key.namespace}
    involved = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "namespace": key.namespace,
        "name": key.name,
        "uid": virtual["metadata"]["uid"],
    }
    if path := event["involvedObject"].get("fieldPath"):
        involved["fieldPath"] = path
    made["involvedObject"] = involved
    made["message"] = scrubbed(event.get("message") or "")
    source = dict(event.get("source") or {})
    if node := node_names.to_virtual(source.pop("host", None), world):
        source["host"] = node
    if source:
        made["source"] = source
    if event.get("reportingInstance"):
        made["reportingInstance"] = scrubbed(event["reportingInstance"])
    return made


def reconcile(key: Key, _virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
    """Retell a host event; one that expired on the host expires in the virtual cluster by itself."""
    if host is None or key.namespace:
        return ()
    involved = host.get("involvedObject") or {}
    resource = _INVOLVED.get(involved.get("kind") or "")
    kind = None if resource is None else world.kind(resource)
    # Namespaces are always known, but not always the tenant's on the host.
    if kind is None or not kind.watch_host:
        return ()
    subject = _subject(involved, world)
    if subject is None:
        is_fresh = world.now - _last_seen(host) < _PATIENCE
        return (Later(_RETRY, "the object of an event is not known yet"),) if is_fresh else ()
    wanted = to_virtual(host, subject, world)
    own = wanted["metadata"]
    there = Key(own["namespace"], own["name"])
    here = world.virtual(EVENTS, there)
    if here is None:
        namespace = world.virtual(NAMESPACES, Key("", own["namespace"]))
        # A namespace that is being deleted takes no new objects.
        return () if namespace is None or decide.is_terminating(namespace) else (CreateVirtual(EVENTS, wanted),)
    patch = decide.fields_patch(here, wanted, _CHANGING)
    return (PatchVirtual(EVENTS, there, here["metadata"]["uid"], patch),) if patch else ()


def _host_key(host: Object, tenant: Tenant) -> Key | None:
    metadata = host["metadata"]
    # Where each namespace has its own, the engine has looked which are the tenant's.
    is_ours = tenant.each_namespace or metadata.get("namespace") == tenant.host_namespace
    return Key("", metadata["name"]) if is_ours else None


KIND = Kind(
    resource=EVENTS,
    reconcile=reconcile,
    host_key=_host_key,
    can_wait=True,
    switch=Switch("from_host", "events", on=True),
    host_rules=(Rule.to_read(EVENTS),),
)
