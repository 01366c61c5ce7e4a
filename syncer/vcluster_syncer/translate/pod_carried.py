"""What a host pod was last told about images and resources.

Webhooks and limit ranges of the host put other images and resources into its pods than the virtual ones have. That
is the host's right, and comparing the two sides would undo it at the next change of anything. The one rule: what the
user changed since it was last told is told, whatever the host made of what it was told before stays.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from vcluster_syncer import ownership
from vcluster_syncer.model import Object
from vcluster_syncer.naming import digest

TOLD: Final = f"{ownership.PREFIX}told"
"""Annotation: JSON, a container's name to hashes of the image and of the resources that the host was told."""
WHOLE_POD: Final = ""
"""Instead of a container's name, for the resources of the pod as a whole."""
_LISTS: Final = ("initContainers", "containers")


class Changed(NamedTuple):
    """Names of the containers of which the host must be told."""

    images: frozenset[str]
    resources: frozenset[str]


def _hashed(value: object) -> str:
    return digest(json.dumps(value, sort_keys=True)) if value else ""


def _now(pod: Object) -> dict[str, list[str]]:
    told = {WHOLE_POD: ["", _hashed(pod["spec"].get("resources"))]}
    for field in _LISTS:
        for container in pod["spec"].get(field) or ():
            told[container["name"]] = [_hashed(container.get("image")), _hashed(container.get("resources"))]
    return told


def note(pod: Object) -> str:
    """Return what `TOLD` says once the host was told of `pod`."""
    return json.dumps(_now(pod), separators=(",", ":"), sort_keys=True)


def _before(host: Object) -> dict[str, Any]:
    try:
        found = json.loads(ownership.annotations_of(host).get(TOLD, "{}"))
    except ValueError:
        # Edited by hand on the host: tell everything anew.
        return {}
    return found if isinstance(found, dict) else {}


def changed(pod: Object, host: Object) -> Changed:
    """Return what the user changed about `pod` since its host pod was last told."""
    before, now = _before(host), _now(pod)
    images = {name for name, (image, _) in now.items() if [image] != (before.get(name) or [None])[:1]}
    resources = {name for name, (_, each) in now.items() if [each] != (before.get(name) or [None, None])[1:2]}
    return Changed(frozenset(images - {WHOLE_POD}), frozenset(resources))
