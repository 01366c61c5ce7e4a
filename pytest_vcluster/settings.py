"""What a run was asked for, as plain values.

Frozen dataclasses that every layer may read and none may change; they travel to the run service and to xdist workers
as JSON. The one rule: nothing here reads the outside world (no files, no environment, no pytest), so that a `Settings`
means the same thing in every process. Validation of what people type is `options`' business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEFAULT_CAPACITY: Mapping[str, str] = {"cpu": "32", "memory": "256Gi", "pods": "110"}
"""What a simulated node offers when nothing else is asked for."""

HOSTS = ("embedded", "kind", "existing")
ISOLATIONS = ("recycle", "fresh")
"""What a test may ask for."""
ISOLATION_MODES = (*ISOLATIONS, "verify")
"""What a run may be: `verify` recycles, and compares every recycled cluster with what it was when it was fresh."""
KEEPS = ("never", "on-failure", "always")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeShape:
    """One simulated node of a virtual cluster: its name as the test sees it, labels, taints and capacity."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Mapping[str, str], ...] = ()
    """Each a mapping with `key`, `effect` and optionally `value`, as in a Kubernetes Node."""
    capacity: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_CAPACITY))
    """Kubernetes quantities by resource name; `pods` is the number of pods the node takes."""

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values that `from_json` turns back into an equal shape."""
        return {
            "name": self.name,
            "labels": dict(self.labels),
            "taints": [dict(taint) for taint in self.taints],
            "capacity": dict(self.capacity),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> NodeShape:
        """The shape that `to_json` described."""
        return cls(
            name=document["name"],
            labels=dict(document["labels"]),
            taints=tuple(dict(taint) for taint in document["taints"]),
            capacity=dict(document["capacity"]),
        )


def default_nodes(count: int) -> tuple[NodeShape, ...]:
    """`count` equal nodes, `node-1` to `node-<count>`."""
    return tuple(NodeShape(name=f"node-{number}") for number in range(1, count + 1))


DEFAULT_NODES = default_nodes(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every option of a run, resolved and valid."""

    host: str = "embedded"
    """The kind of host cluster, one of `HOSTS`."""
    versions: tuple[str, ...] = ("v1.36.4",)
    """Full Kubernetes versions in the order asked for; tests run once on each."""
    isolation: str = "recycle"
    """How a test gets its pristine cluster, one of `ISOLATION_MODES`."""
    keep: str = "never"
    """Which tests' clusters outlive them, one of `KEEPS`."""
    evidence: Path | None = None
    """Folder that a failed test's evidence goes to; None means none is taken."""
    pool: int | None = None
    """How many clusters exist at once; None means by cores and free memory."""
    timeout: float = 60.0
    """Seconds that any one wait of the plugin may take."""
    report: Path | None = None
    """HTML report to write at the end of the run."""
    offline: bool = False
    """Never try the network for a missing binary."""
    kubeconfig: Path | None = None
    """Kubeconfig of an existing host cluster."""
    context: str | None = None
    """Context in `kubeconfig`; never the ambient current one."""
    namespace: str | None = None
    """Namespace of the host cluster in which everything is made; None: a kind cluster gets one, an existing one's
    context has to name it."""
    reuse: str | None = None
    """Name of a kind cluster to share with other runs and to leave behind; None: one for this run alone."""
    kind_config: Path | None = None
    """Kind configuration to add to what the plugin asks for."""
    kind_image: str | None = None
    """Node image of the kind cluster, and with it the host's Kubernetes version; None: kind's default."""
    syncer_image: str | None = None
    """Image of the syncer; None: the one of this version, built where it is missing."""
    sync: tuple[str, ...] = ()
    """What virtual clusters share with their host beyond the usual, of `sync_switches.SWITCHES`."""
    nodes: tuple[NodeShape, ...] = DEFAULT_NODES
    """Simulated nodes of every virtual cluster on the embedded host."""

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values that `from_json` turns back into equal settings."""
        return {
            "host": self.host,
            "versions": list(self.versions),
            "isolation": self.isolation,
            "keep": self.keep,
            "evidence": _text(self.evidence),
            "pool": self.pool,
            "timeout": self.timeout,
            "report": _text(self.report),
            "offline": self.offline,
            "kubeconfig": _text(self.kubeconfig),
            "context": self.context,
            "namespace": self.namespace,
            "reuse": self.reuse,
            "kind_config": _text(self.kind_config),
            "kind_image": self.kind_image,
            "syncer_image": self.syncer_image,
            "sync": list(self.sync),
            "nodes": [node.to_json() for node in self.nodes],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Settings:
        """The settings that `to_json` described."""
        return cls(
            host=document["host"],
            versions=tuple(document["versions"]),
            isolation=document["isolation"],
            keep=document["keep"],
            evidence=_path(document["evidence"]),
            pool=document["pool"],
            timeout=document["timeout"],
            report=_path(document["report"]),
            offline=document["offline"],
            kubeconfig=_path(document["kubeconfig"]),
            context=document["context"],
            namespace=document["namespace"],
            reuse=document["reuse"],
            kind_config=_path(document["kind_config"]),
            kind_image=document["kind_image"],
            syncer_image=document["syncer_image"],
            sync=tuple(document["sync"]),
            nodes=tuple(NodeShape.from_json(node) for node in document["nodes"]),
        )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
