"""Warning events on virtual objects: how the syncer says no.

The one rule: pure, and the same words about the same object make the same event, so that saying it twice is saying it
once, also after a restart.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from vcluster_syncer.model import Object, Resource

_COMPONENT = "vcluster-syncer"
# Limits of the events API.
_LONGEST_NAME = 253
_LONGEST_MESSAGE = 1024


def warning(resource: Resource, obj: Object, *, reason: str, message: str, now: float) -> dict[str, Any]:
    """Return the Event that tells the user of `obj` why something is not done."""
    metadata = obj["metadata"]
    digest = hashlib.sha256("\0".join((metadata["uid"], reason, message)).encode()).hexdigest()[:16]
    when = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name'][: _LONGEST_NAME - 17]}.{digest}",
            "namespace": metadata.get("namespace", "default"),
        },
        "involvedObject": {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "name": metadata["name"],
            "namespace": metadata.get("namespace", ""),
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "type": "Warning",
        "reason": reason,
        "message": message[:_LONGEST_MESSAGE],
        "source": {"component": _COMPONENT},
        "reportingComponent": _COMPONENT,
        "firstTimestamp": when,
        "lastTimestamp": when,
        "count": 1,
    }
