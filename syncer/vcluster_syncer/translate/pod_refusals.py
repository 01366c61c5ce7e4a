"""What a pod may ask for that the host would answer with something of its own.

The one rule: rather no pod, and a word to the user, than one that trusts the host's certificates or waits for
devices that nobody will give it. Where nothing runs, on simulated nodes, what a container would be given does not
matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vcluster_syncer.model import PODS, RESOURCE_CLAIMS, Key, Object, Refuse, World

REASON: Final = "NotCarried"
_SOURCES: Final = {
    "clusterTrustBundle": "the host's bundle of that name would be mounted; mount a ConfigMap with the certificates",
    "podCertificate": "the host's signer would certify the host's pod; use a ServiceAccount token or a Secret",
}


def _reasons(pod: Object, world: World) -> Iterator[str]:
    claims = [claim["name"] for claim in pod["spec"].get("resourceClaims") or ()]
    if claims and world.kind(RESOURCE_CLAIMS) is None:
        yield (
            f"spec.resourceClaims ({', '.join(claims)}): resource claims are not carried to the host, "
            "the syncer's switch to_host.resource_claims is off"
        )
    if world.tenant.private_nodes:
        return
    for volume in pod["spec"].get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            for kind, why in _SOURCES.items():
                if source.get(kind) is not None:
                    yield f"volume {volume['name']!r} projects a {kind}: {why}"


def of(key: Key, pod: Object, world: World) -> Refuse | None:
    """Return why a pod can't be carried, None when it can."""
    reasons = list(_reasons(pod, world))
    if not reasons:
        return None
    return Refuse(PODS, key, REASON, f"pod {key.name} is not started. {'; '.join(reasons)}.")
