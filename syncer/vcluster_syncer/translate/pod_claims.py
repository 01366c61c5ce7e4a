"""The resource claims of a pod, by the names that they have on the host.

The one rule: a pod waits until the virtual cluster's controller has said which claims it made for it from templates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vcluster_syncer.model import RESOURCE_CLAIMS, Object, World
from vcluster_syncer.naming import name_on_host


def names(pod: Object) -> Mapping[str, str | None]:
    """Return what the pod calls its claims, and the claims' names; None while there is none from a template yet."""
    statuses = {each["name"]: each for each in (pod.get("status") or {}).get("resourceClaimStatuses") or ()}
    return {
        claim["name"]: claim.get("resourceClaimName") or (statuses.get(claim["name"]) or {}).get("resourceClaimName")
        for claim in pod["spec"].get("resourceClaims") or ()
    }


def references(pod: Object) -> Iterator[str]:
    """Yield the names of the claims that a pod has."""
    yield from (name for name in names(pod).values() if name)


def is_complete(pod: Object, world: World) -> bool:
    """Tell whether all claims of a pod are known; refused ones are none of this module's."""
    return world.kind(RESOURCE_CLAIMS) is None or all(names(pod).values())


def to_host(pod: Object, world: World) -> dict[str, Any]:
    """Return the host pod's `resourceClaims`, nothing where it has none."""
    namespace = pod["metadata"]["namespace"]
    claims = [
        {"name": own, "resourceClaimName": name_on_host(world.tenant, RESOURCE_CLAIMS.kind, namespace, name)}
        for own, name in names(pod).items()
        if name
    ]
    return {"resourceClaims": claims} if claims else {}
