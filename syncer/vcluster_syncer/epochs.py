"""Which of a tenant's host objects are of the present, and which an earlier lease left behind.

Where a lease's host objects may end in the background, the next lease begins while they are still there. So what a
lease makes is named after an epoch, which is raised when its cluster was put back; what was there at that moment, the
baseline, keeps the names it has, and so does what it refers to. The one rule: the epoch needs no record of its own.
Every host object tells the one that it is named after, and whatever is of none of these is nothing that anybody uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from vcluster_syncer import naming, ownership
from vcluster_syncer.model import NAMESPACES, PODS, Name, Object, Reference, Tenant


def written_of(host: Object, tenant: Tenant) -> tuple[Name, int] | None:
    """Return for which virtual object, and in which epoch, the tenant made a host object; None if it did not."""
    labels, annotations = ownership.labels_of(host), ownership.annotations_of(host)
    told = labels.get(ownership.EPOCH_LABEL, "0")
    if labels.get(ownership.TENANT_LABEL) != tenant.name or ownership.NAME not in annotations or not told.isdecimal():
        return None
    epoch, kind = int(told), annotations.get(ownership.KIND, "")
    namespace, name = annotations.get(ownership.NAMESPACE, ""), annotations[ownership.NAME]
    if kind == NAMESPACES.kind:
        names = {naming.host_namespace_at(tenant, epoch, name)} if tenant.each_namespace else set()
    else:
        lineage = naming.lineage_of(tenant, epoch)
        names = {naming.host_name(lineage, namespace, name, role=role) for role in ownership.ROLES}
    return ((kind, namespace, name), epoch) if host["metadata"]["name"] in names else None


def is_left_over(host: Object, tenant: Tenant) -> bool:
    """Tell whether a host object was made for an epoch that is over."""
    if not tenant.drains_in_background:
        return False
    written = written_of(host, tenant)
    return written is not None and tenant.epoch_of(*written[0]) != written[1]


def raised(tenant: Tenant, present: Iterable[Reference]) -> Tenant:
    """Return the tenant in its next epoch; what is `present` in the virtual cluster keeps its names."""
    kept = {(resource.kind, *key): tenant.epoch_of(resource.kind, *key) for resource, key in present}
    return _in(tenant, tenant.epoch + 1, kept)


def resumed(
    tenant: Tenant, seen: Iterable[int], standing: Mapping[Name, int], uses: Mapping[Name, Iterable[Reference]]
) -> Tenant:
    """Return the tenant in the epoch in which a syncer left it that is no more, by what it finds on the host.

    `seen` are the epochs of all host objects, `standing` those of objects that stand for a virtual one, which `uses`
    others. Where the last epochs left nothing on the host it is an earlier one, under whose names nothing is, either.
    """
    epoch = max(tenant.epoch, 0, *seen)
    kept = dict(tenant.kept)
    for name, own in standing.items():
        for used in (name, *((resource.kind, *key) for resource, key in uses.get(name, ()))):
            of = standing.get(used, own)
            if of != epoch:
                kept.setdefault(used, of)
    return _in(tenant, epoch, kept)


def _in(tenant: Tenant, epoch: int, kept: Mapping[Name, int]) -> Tenant:
    # A baseline's pods have to be found, too, by selectors that know one value of a label.
    is_alone = epoch > 0 and not any(kind == PODS.kind for kind, _, _ in kept)
    return replace(tenant, epoch=epoch, kept=kept, selects_by_epoch=is_alone)
