"""All the engine knows of one tenant, and the `World` its kinds look at.

The one rule: every change, whoever brought it (a watch, a list, the answer to our own write), takes the same way: into
a store, into the indexes, then the keys it concerns are queued. So no way of learning something can forget somebody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from vcluster_syncer import epochs, ownership
from vcluster_syncer.engine.guard import guarded
from vcluster_syncer.engine.host_objects import HostObjects, Left
from vcluster_syncer.engine.latency import TO_HOST, TO_VIRTUAL, Latency
from vcluster_syncer.engine.references import References
from vcluster_syncer.engine.store import Store, key_of
from vcluster_syncer.engine.tokens import Tokens
from vcluster_syncer.model import NAMESPACES, Key, Kind, Name, Object, Reference, Resource, Tenant, Token, TokenRequest


class Memory:
    """The stores and indexes of one tenant. `enqueue` is told of every key that should be looked at again."""

    def __init__(
        self,
        tenant: Tenant,
        kinds: Sequence[Kind],
        *,
        enqueue: Callable[[Reference], None],
        clock: Callable[[], float],
        latency: Latency | None = None,
        left: Left | None = None,
    ) -> None:
        self.tokens = Tokens(clock)
        self.kinds = {kind.resource: kind for kind in kinds}
        self._tenant = tenant
        self._enqueue = enqueue
        self._clock = clock
        self._latency = latency
        self._live = False
        self._references = References()
        self.virtual_stores = {
            kind.resource: Store(kind.resource, self._virtual_watcher(kind), self._appearing(kind.resource))
            for kind in kinds
            if kind.watch_virtual
        }
        self.host_objects = {
            resource: HostObjects(resource, owners, tenant, self._host_changed, self._appearing(resource), left=left)
            for resource, owners in host_owners(kinds).items()
        }
        self.imports = {
            each: Store(each[0], self._import_watcher(each))
            for each in dict.fromkeys(
                (resource, one.from_namespace) for one in tenant.imports for resource in one.resources
            )
        }
        """What is imported, by resource and host namespace."""

    # What kinds see: `World`.

    @property
    def tenant(self) -> Tenant:
        """The virtual cluster this is about."""
        return self._tenant

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock()

    def kind(self, resource: Resource) -> Kind | None:
        """Return the row by which objects of a resource are carried, None where its switch is off."""
        return self.kinds.get(resource)

    def virtual(self, resource: Resource, key: Key) -> Object | None:
        """Return a virtual object of a watched kind."""
        return self._virtual_store(resource).get(key)

    def virtual_list(self, resource: Resource, namespace: str | None = None) -> Iterable[Object]:
        """Return the virtual objects of a watched kind, of one namespace or of all."""
        return self._virtual_store(resource).objects(namespace)

    def host(self, resource: Resource, key: Key, *, owner: Resource | None = None) -> Object | None:
        """Return the host object that the kind `owner` (its own, if None) keeps for a virtual key."""
        return self._host_side(resource).of(owner or resource, key)

    def host_named(self, resource: Resource, name: str) -> Object | None:
        """Return the object of that host name, ours or not."""
        return self._host_side(resource).named(name)

    def imported(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """Return an object of a host namespace that one of the tenant's imports names."""
        store = self.imports.get((resource, namespace))
        return None if store is None else store.get(Key(namespace, name))

    def imported_list(self, resource: Resource, namespace: str) -> Iterable[Object]:
        """Return all objects of a host namespace that one of the tenant's imports has to know of."""
        store = self.imports.get((resource, namespace))
        return () if store is None else store.objects()

    def users(self, resource: Resource, key: Key) -> Iterable[Reference]:
        """Return the virtual objects that use this one, whether or not this one exists."""
        return self._references.users((resource, key))

    def token(self, request: TokenRequest) -> Token | None:
        """Return what a `RequestToken` of exactly this request has brought."""
        return self.tokens.get(request)

    # What the engine does with it.

    def host_has(self, resource: Resource) -> bool:
        """Tell whether the host has the collection, as far as that is known."""
        objects = self.host_objects.get(resource)
        return objects is None or objects.is_served

    def virtual_has(self, resource: Resource) -> bool:
        """Tell whether the virtual cluster has the collection, as far as that is known."""
        store = self.virtual_stores.get(resource)
        return store is None or store.is_served

    def is_on_host(self, reference: Reference) -> bool:
        """Tell whether there is a host object of that key's own kind."""
        resource, key = reference
        objects = self.host_objects.get(resource)
        return objects is not None and resource in objects.owners and objects.of(resource, key) is not None

    def host_namespaces(self) -> Sequence[str]:
        """The host namespaces in which the tenant's objects are, as far as they are there."""
        if not self._tenant.each_namespace:
            return (self._tenant.host_namespace,)
        objects = self.host_objects[NAMESPACES]
        return [obj["metadata"]["name"] for obj in objects.all() if objects.is_ours(obj["metadata"]["name"])]

    def place_of(self, resource: Resource, obj: Object) -> str:
        """The host namespace of an object that is to be made."""
        return obj["metadata"].get("namespace") or self._tenant.host_namespace if resource.namespaced else ""

    def namespace_of(self, resource: Resource, name: str) -> str:
        """The host namespace of an object of that host name: names are unique among all that the tenant has."""
        objects = self.host_objects.get(resource)
        known = objects.named(name) if objects is not None else None
        return self._tenant.host_namespace if known is None else known["metadata"].get("namespace", "")

    def lives_in(self, host_namespace: str) -> bool:
        """Tell whether a host namespace is one of the tenant's."""
        if not self._tenant.each_namespace:
            return host_namespace == self._tenant.host_namespace
        return self.host_objects[NAMESPACES].is_ours(host_namespace)

    def go_live(self) -> None:
        """Everything is read: queue every key, and from now on every key that a change concerns."""
        self._live = True
        for reference in self.all_keys():
            self._enqueue(reference)

    def raise_epoch(self) -> None:
        """Begin a new epoch: what is in the virtual cluster now keeps its host objects, all others are left over."""
        present: set[Reference] = set()
        for resource, store in self.virtual_stores.items():
            for obj in store.objects():
                present |= {(resource, key_of(obj)), *self._used_by(resource, obj)}
        self.become(epochs.raised(self._tenant, present))

    def resume_epoch(self) -> None:
        """Go on in the epoch in which a syncer left the tenant that is no more."""
        kinds = {kind.resource.kind: kind.resource for kind in self.kinds.values() if kind.watch_virtual}
        seen: set[int] = set()
        standing: dict[Name, int] = {}
        uses: dict[Name, frozenset[Reference]] = {}
        for host in [host for objects in self.host_objects.values() for host in objects.all()]:
            written = epochs.written_of(host, self._tenant)
            if written is None:
                continue
            (kind, *key), epoch = name, _ = written
            seen.add(epoch)
            resource = kinds.get(kind)
            virtual = None if resource is None else self.virtual_stores[resource].get(Key(*key))
            if resource is not None and virtual is not None and ownership.carries(host, virtual):
                standing[name], uses[name] = epoch, self._used_by(resource, virtual)
        self.become(epochs.resumed(self._tenant, seen, standing, uses))

    def _used_by(self, resource: Resource, virtual: Object) -> frozenset[Reference]:
        nothing: frozenset[Reference] = frozenset()
        return guarded(nothing, self.kinds[resource].references, virtual)

    def become(self, tenant: Tenant) -> None:
        """See everything as of what the tenant is from now on."""
        self._tenant = tenant
        for objects in self.host_objects.values():
            objects.turn(tenant)

    def all_keys(self) -> Iterator[Reference]:
        """Every key there is an object for, on either side."""
        for resource in self.kinds:
            yield from self.keys_of(resource)

    def keys_of(self, resource: Resource) -> Iterator[Reference]:
        """Every key of one kind there is an object for, on either side."""
        keys: dict[Key, None] = {}
        if resource in self.virtual_stores:
            keys.update((key_of(obj), None) for obj in self.virtual_stores[resource].objects())
        for objects in self.host_objects.values():
            if resource in objects.owners:
                keys.update((key, None) for key in objects.keys(resource))
        for each, store in self.imports.items():
            for obj in store.objects():
                keys.update((key, None) for of, key in self._shown_as(*each, obj) if of == resource)
        for key in keys:
            yield resource, key

    def _appearing(self, resource: Resource) -> Callable[[], None]:
        """Make what is to be done once a server has a collection that it had not: look at all that waited for it."""

        def appeared() -> None:
            if self._live:
                self._queue_all(list(self.keys_of(resource)))

        return appeared

    def _virtual_watcher(self, kind: Kind) -> Callable[[Object | None, Object | None], None]:
        def changed(old: Object | None, new: Object | None) -> None:
            present = new if new is not None else old
            if present is None:
                return
            reference = (kind.resource, key_of(present))
            uses: frozenset[Reference] = frozenset()
            if new is not None:
                uses = guarded(uses, kind.references, new)
            entered_or_left = self._references.update(reference, uses)
            if self._live:
                self._note(TO_HOST, (reference,))
                self._enqueue(reference)
                self._queue_all(entered_or_left)
                self._queue_all(self._references.users(reference))
                self._wake(kind, present)

        return changed

    def _host_changed(self, resource: Resource, present: Object, concerned: Iterable[Reference]) -> None:
        if not self._live:
            return
        self._note(TO_VIRTUAL, concerned)
        self._queue_all(concerned)
        kind = self.kinds.get(resource)
        if kind is not None:
            self._wake(kind, present)

    def _shown_as(self, resource: Resource, namespace: str, obj: Object) -> Iterator[Reference]:
        for one in self._tenant.imports:
            key = one.concerned_by(resource, obj) if one.from_namespace == namespace else None
            if key is not None:
                yield one.resource, key

    def _import_watcher(self, of: tuple[Resource, str]) -> Callable[[Object | None, Object | None], None]:
        def changed(old: Object | None, new: Object | None) -> None:
            if self._live:
                # Of both: it may have belonged to another.
                for present in (old, new):
                    self._queue_all(self._shown_as(*of, present) if present is not None else ())

        return changed

    def _wake(self, kind: Kind, present: Object) -> None:
        # A kind may yield lazily, so the whole iteration is guarded.
        self._queue_all(guarded((), lambda: tuple(kind.wakes(present, self))))

    def _note(self, direction: str, references: Iterable[Reference]) -> None:
        if self._latency is not None:
            for reference in references:
                if reference[0] in self.kinds:
                    self._latency.changed(direction, reference)

    def _queue_all(self, references: Iterable[Reference]) -> None:
        for reference in references:
            if reference[0] in self.kinds:
                self._enqueue(reference)

    def _virtual_store(self, resource: Resource) -> Store:
        store = self.virtual_stores.get(resource)
        if store is None:
            raise LookupError(f"no kind watches {resource.plural} in the virtual cluster, so nothing is known of them")
        return store

    def _host_side(self, resource: Resource) -> HostObjects:
        objects = self.host_objects.get(resource)
        if objects is None:
            raise LookupError(f"no kind watches {resource.plural} on the host, so nothing is known of them")
        return objects


def host_owners(kinds: Sequence[Kind]) -> dict[Resource, tuple[Kind, ...]]:
    """Which host resources are watched, and for which kinds."""
    owners: dict[Resource, tuple[Kind, ...]] = {}
    for kind in kinds:
        for resource in (*((kind.resource,) if kind.watch_host else ()), *kind.companions):
            owners[resource] = (*owners.get(resource, ()), kind)
    return owners
