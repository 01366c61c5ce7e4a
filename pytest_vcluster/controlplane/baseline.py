"""A baseline as a template: what a cluster holds after something was laid into it, made fit to be cloned.

The one rule: pure, and honest. A state that would mean something else in another cluster is not cloned, and the reason
is told; such a baseline is laid into each cluster anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from pytest_vcluster.controlplane.networks import ORIGIN, ServiceRange, mover
from pytest_vcluster.controlplane.template import Template, from_state

_UID = rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# `metadata.uid` in protobuf: field 5 of ObjectMeta, 36 bytes long. Metadata comes first, so the first match is it.
# https://github.com/kubernetes/apimachinery/blob/master/pkg/apis/meta/v1/generated.proto
_OWN_UID = re.compile(rb"\x2a\x24(%s)" % _UID)
# Mirrored by the syncer from nodes that every cluster has of its own.
_OF_THE_HOST = (b"minions/",)
_BOUND_TO_HOST = {
    b"pods/": "pods, which run on the host",
    b"persistentvolumes/": "volumes, which are on the host",
    b"persistentvolumeclaims/": "claims, whose volumes are on the host",
}
_TOKEN_TYPE = b"kubernetes.io/service-account-token"


def obstacle(state: Mapping[bytes, bytes]) -> str:
    """Why `state` can't be cloned; empty if it can."""
    for key, value in state.items():
        for prefix, what in _BOUND_TO_HOST.items():
            if key.startswith(prefix):
                return f"it has {what}"
        if key.startswith(b"secrets/") and _TOKEN_TYPE in value:
            return "it has a token that this cluster signed"
    return ""


def template_of(
    version: str,
    state: Mapping[bytes, bytes],
    root_ca: Mapping[bytes, Mapping[str, object]],
    *,
    service_range: ServiceRange,
) -> Template:
    """Make a template of the stored `state` of a cluster that uses `service_range`."""
    move = mover(service_range, ORIGIN)
    moved = {move(key): move(value) for key, value in state.items() if not key.startswith(_OF_THE_HOST)}
    plain = from_state(version, moved, root_ca)
    uids = {_own_uid(value) for value in moved.values()} - {""}
    uids |= {str(metadata["uid"]) for value in root_ca.values() if isinstance(metadata := value["metadata"], dict)}
    return Template(version=version, entries=plain.entries, root_ca=plain.root_ca, uids=frozenset(uids))


def _own_uid(value: bytes) -> str:
    """The uid of a stored object, in either of the two encodings; empty if it has none."""
    if value.startswith(b"{"):
        return str(json.loads(value).get("metadata", {}).get("uid", ""))
    found = _OWN_UID.search(value)
    return found.group(1).decode() if found else ""
