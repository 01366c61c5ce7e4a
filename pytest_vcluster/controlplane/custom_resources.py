"""Custom resources that a control plane starts with: waiting until they are served like any other kind.

The one rule: a cluster is handed out only when its first request for one of them is answered. An API server discovers
its definitions after it is ready, and turns the first request for each away while it makes a cache for it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_vcluster.controlplane.http import Client
from pytest_vcluster.errors import ApiError, Timeout

_DEFINITIONS = b"apiextensions.k8s.io/customresourcedefinitions/"
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_NOT_YET = (404, 429, 503)
_POLL_SECONDS = 0.01
# Caches cost memory, and where there are so many definitions no test uses them all.
_MOST_WARMED = 50


@dataclass(frozen=True, slots=True, order=True)
class Served:
    """A kind in one of its versions."""

    group: str
    version: str
    plural: str

    @property
    def path(self) -> str:
        """Where it is listed."""
        return f"/apis/{self.group}/{self.version}/{self.plural}"


def served_by(entries: Mapping[bytes, bytes]) -> Iterator[Served]:
    """Yield what the definitions among stored `entries` serve."""
    for key, value in entries.items():
        if key.startswith(_DEFINITIONS):
            spec = json.loads(value)["spec"]
            for version in spec["versions"]:
                if version["served"]:
                    yield Served(spec["group"], version["name"], spec["names"]["plural"])


def wait_until_served(client: Client, entries: Mapping[bytes, bytes], *, timeout: float) -> None:
    """Wait until all that `served_by` yields is discovered and can be listed; Timeout with what is missing."""
    wanted = set(served_by(entries))
    if not wanted:
        return
    deadline = time.monotonic() + timeout
    while missing := wanted - _discovered(client):
        _rest(deadline, timeout, f"not discovered: {', '.join(each.path for each in sorted(missing)[:5])}")
    for each in sorted(wanted)[:_MOST_WARMED]:
        while not _answers(client, each):
            _rest(deadline, timeout, f"not listed: {each.path}")


def _discovered(client: Client) -> set[Served]:
    found = client.call("GET", "/apis", accept=_AGGREGATED)
    return {
        Served(group["metadata"]["name"], version["version"], resource["resource"])
        for group in found.get("items", ())
        for version in group.get("versions", ())
        for resource in version.get("resources", ())
    }


def _answers(client: Client, served: Served) -> bool:
    try:
        client.call("GET", f"{served.path}?limit=1")
    except ApiError as error:
        # Another error, for want of its conversion webhook say, is what the test has to see too.
        return error.status not in _NOT_YET
    return True


def _rest(deadline: float, timeout: float, last_seen: str) -> None:
    if time.monotonic() > deadline:
        raise Timeout("Custom resources of the baseline being served", elapsed=timeout, last_seen=last_seen)
    time.sleep(_POLL_SECONDS)
