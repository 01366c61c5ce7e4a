"""The other side of a virtual cluster, for the curious: what of it exists on the host, and under which names.

The one rule: read only, and through annotations; names are never parsed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pytest_vcluster.cluster.objects import Object, metadata, name_of
from pytest_vcluster.errors import ApiError, HostError

TENANT = "vcluster-syncer/tenant"
_NAME = "vcluster-syncer/name"
_NAMESPACE = "vcluster-syncer/namespace"
_EPOCH = "vcluster-syncer/epoch"


class HostView:
    """What belongs to one virtual cluster on its host. `run` runs kubectl with arguments and a kubeconfig."""

    def __init__(self, cluster: str, facts: Mapping[str, str], run: Callable[[tuple[str, ...], Path], str]) -> None:
        self._cluster = cluster
        self._facts = facts
        self._run = run

    @property
    def kind(self) -> str:
        """The kind of host: embedded, kind or existing."""
        return self._facts["kind"]

    @property
    def version(self) -> str:
        """The host's Kubernetes version."""
        return self._facts.get("version", "")

    @property
    def namespace(self) -> str:
        """The host namespace in which everything of this cluster lives."""
        return self._facts["namespace"]

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig for the host."""
        path = self._facts.get("kubeconfig")
        if not path:
            message = (
                "The host's kubeconfig is not known to this lease: the host was still starting when it began. "
                "Ask for the fixture vcluster_host before the first cluster, or use its kubeconfig."
            )
            raise HostError(message)
        return Path(path)

    def component_logs(self) -> Iterator[tuple[str, str]]:
        """What the components of a control plane that is a pod have logged since the lease began, by their names."""
        pod = self._facts["pod"]
        listing = json.loads(self._kubectl("get", "pod", pod, "--output", "json"))
        for container in listing["spec"]["containers"]:
            name = container["name"]
            since = self._facts["leased_at"]
            yield name, self._kubectl("logs", pod, "--container", name, "--since-time", since)

    def _kubectl(self, *arguments: str) -> str:
        # Of a kubeconfig that was there before us, another context may be the current one.
        context = ("--context", self._facts["context"]) if "context" in self._facts else ()
        return self._run((*arguments, "--namespace", self.namespace, *context), self.kubeconfig)

    def objects(self, kind: str) -> list[Object]:
        """All objects of a kind that the host has for this cluster, as they are there."""
        listing = self._kubectl("get", kind, "--selector", f"{TENANT}={self._cluster}", "--output", "json")
        items: list[Object] = json.loads(listing)["items"]
        return items

    def object(self, kind: str, name: str, namespace: str = "default") -> Object:
        """The host's object for the one that this cluster knows as `name` in `namespace`; ApiError (404) if none."""
        # What an earlier lease left, and is on its way out, is of an earlier epoch.
        for found in sorted(self.objects(kind), key=_epoch, reverse=True):
            annotations = metadata(found).get("annotations") or {}
            # Cluster-scoped objects carry no namespace.
            if annotations.get(_NAME) == name and annotations.get(_NAMESPACE, namespace) in {namespace, ""}:
                return found
        message = f"nothing on the host stands for {kind} {name} in namespace {namespace} of {self._cluster}"
        raise ApiError(message, status=404, reason="NotFound")

    def name_of(self, kind: str, name: str, namespace: str = "default") -> str:
        """The host's name for the object that this cluster knows as `name` in `namespace`."""
        return name_of(self.object(kind, name, namespace))


def _epoch(found: Object) -> int:
    return int((metadata(found).get("labels") or {}).get(_EPOCH, "0"))
