"""What a control plane has stored, as values: stamps, a baseline, and the plan that leads back to it.

The one rule: pure. A key is back when it carries the baseline's bytes, and that is known without reading them: etcd
gives every write a revision of its own, so a key whose revision is the one that the baseline was read at, or the one
of our own write, can't hold anything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

# Where the order of deletion matters: while the API server still sees a Service it would make its IPAddress again, and
# while it still sees a CustomResourceDefinition, its APIService. These go when what they follow from is gone.
FOLLOWERS = (b"ipaddresses/", b"apiregistration.k8s.io/apiservices/")
# Of which the API server remembers more than it stores: ServiceCIDRs are taken over on a timer, and LimitRanges that a
# pod's admission looked up (because its copy had none yet) are applied for 30 seconds, whatever happens to them.
IRREVERSIBLE = (b"servicecidrs/", b"limitranges/")
_TWO_PARTS = (b"services",)
PLURALS = {
    "minions": "nodes",
    "controllers": "replicationcontrollers",
    "ingress": "ingresses",
    "services/specs": "services",
    "services/endpoints": "endpoints",
}
"""Where the stored name of a built-in collection is not its plural."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """The revisions at which a key came to be and was last written."""

    created: int
    modified: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Keys with their stamps, as of `revision`; `total` counts all keys there are, listed or not."""

    revision: int
    total: int
    stamps: Mapping[bytes, Stamp]


@dataclass(slots=True, kw_only=True)
class Baseline:
    """The state to come back to. `revision`: all that happened up to here is accounted for in `stamps`."""

    values: Mapping[bytes, bytes]
    stamps: dict[bytes, Stamp]
    revision: int

    def missing(self, changed: Listing) -> int:
        """Count the baseline's keys that are gone, given what `changed` since `revision`."""
        added = sum(key not in self.stamps for key in changed.stamps)
        return len(self.stamps) - (changed.total - added)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to write. `put`: keys of the baseline and the revision each was created at, 0 where it does not exist."""

    put: Mapping[bytes, int] = field(default_factory=dict)
    delete: tuple[bytes, ...] = ()
    reborn: tuple[bytes, ...] = ()
    """Keys of the baseline that were deleted, whether or not they exist again."""

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Every key that the plan touches."""
        return (*self.put, *self.delete)

    @property
    def irreversible(self) -> tuple[bytes, ...]:
        """Keys of which the API server would not notice that they are back."""
        return tuple(key for key in self.keys if key.startswith(IRREVERSIBLE))

    def __bool__(self) -> bool:
        return bool(self.put or self.delete)


def assess(baseline: Baseline, changed: Listing, *, gone: Iterable[bytes] = ()) -> Plan:
    """Plan the way back, given what `changed` since the baseline's revision and which of its keys are `gone`."""
    put = dict.fromkeys(gone, 0)
    reborn = list(put)
    delete = []
    for key, stamp in changed.stamps.items():
        known = baseline.stamps.get(key)
        if known is None:
            delete.append(key)
        elif known != stamp:
            put[key] = stamp.created
            if known.created != stamp.created:
                reborn.append(key)
    return Plan(put=put, delete=tuple(delete), reborn=tuple(reborn))


def without(listing: Listing, prefixes: tuple[bytes, ...]) -> Listing:
    """Leave out of `listing` what starts with one of `prefixes`, none of which the baseline has."""
    if not prefixes:
        return listing
    stamps = {key: stamp for key, stamp in listing.stamps.items() if not key.startswith(prefixes)}
    total = listing.total - (len(listing.stamps) - len(stamps))
    return Listing(revision=listing.revision, total=total, stamps=stamps)


def first_part(plan: Plan) -> Plan:
    """Return what of `plan` may be done now; the followers wait until nothing else is left to do."""
    put = {key: created for key, created in plan.put.items() if not key.startswith(FOLLOWERS)}
    delete = tuple(key for key in plan.delete if not key.startswith(FOLLOWERS))
    reborn = tuple(key for key in plan.reborn if key in put)
    return Plan(put=put, delete=delete, reborn=reborn) if put or delete else plan


def collection_of(key: bytes) -> str:
    """Name the collection of objects that a key belongs to: `configmaps`, `services/specs`, `example.com/widgets`."""
    parts = key.split(b"/", 2)
    # Groups of definitions (and of two built-in registries) come before the plural, and always have a dot.
    together = 2 if b"." in parts[0] or parts[0] in _TWO_PARTS else 1
    return b"/".join(parts[:together]).decode(errors="replace")


def object_of(key: bytes) -> tuple[str, str, str]:
    """Tell the plural, namespace and name of the object that a key of a built-in collection holds."""
    collection = collection_of(key)
    rest = key.decode(errors="replace").removeprefix(collection + "/")
    namespace, _, name = rest.rpartition("/")
    return PLURALS.get(collection, collection), namespace, name


def collections_of(keys: Iterable[bytes]) -> frozenset[str]:
    """Name the collections of all `keys`."""
    return frozenset(map(collection_of, keys))


def shown(keys: Iterable[bytes], *, most: int = 5) -> str:
    """Name some keys to people."""
    names = [key.decode(errors="replace") for key in keys]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a way back ended: pristine, or not and why."""

    pristine: bool
    reason: str = ""
    revision: int = 0
    """When pristine: the revision it was verified at; whatever is younger came afterwards."""
    keys: int = 0
    """How many keys the baseline has."""
    revived: tuple[str, ...] = ()
    """Objects that were deleted and are back with the uid they had: who saw them end must start anew."""
    outdated: bool = False
    """Whether the controller manager goes by definitions or autoscalers that were put away: it must be replaced."""
    restless: str = ""
    """What somebody kept writing while a checkpoint was restored."""
    written: int = 0
    """How many keys were written or deleted."""
    rounds: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    """How long each step took."""
