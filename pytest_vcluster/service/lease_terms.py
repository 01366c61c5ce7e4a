"""What a lease is asked for, what it is granted, and what becomes of its cluster.

The one rule: plain values, the same on both sides of the socket; how they cross it is the protocol's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pytest_vcluster.settings import NodeShape


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRequest:
    """What a test asks for."""

    version: str
    isolation: str
    nodes: tuple[NodeShape, ...]
    holder: str
    """Who asks, for messages to people: a test's node id."""
    expected: Mapping[str, int]
    """Version -> number of leases that the whole collection asks for, this one included."""
    on_host: bool = False
    """The cluster must have its nodes; otherwise the first of a run may get them a second later."""
    baseline: str = ""
    """A digest of what the cluster must have in it; empty for nothing."""
    baseline_about: str = ""
    """The same in words, for people; empty if it can't be kept for other runs, because it is the work of a function."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRef:
    """A component's log, and where in it the lease begins."""

    path: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A cluster that is the lessee's alone until the lease ends."""

    cluster: str
    version: str
    url: str
    kubeconfig: str
    certificate_authority: str
    client_certificate: str
    client_key: str
    client_ca_certificate: str
    client_ca_key: str
    revision: int
    """Resource version at the start: what the test changed is above it."""
    logs: Mapping[str, LogRef]
    host: Mapping[str, str]
    prepared_seconds: float
    waited_seconds: float
    gate: str
    laid: bool = True
    """Whether the baseline is in the cluster; otherwise the lessee lays it, and says `Laid` or `NotLaid`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """A process that ended though a lease depended on it."""

    component: str
    status: str
    log: str
    tail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A cluster that outlives its lease until the user ends it."""

    cluster: str
    version: str
    kubeconfig: str
    holder: str

    @property
    def command(self) -> str:
        """What ends it."""
        return f"pytest-vcluster down {self.cluster}"


def request_of(value: Mapping[str, Any]) -> LeaseRequest:
    """Make a request of what JSON made of it."""
    return LeaseRequest(**{**value, "nodes": tuple(NodeShape.from_json(node) for node in value["nodes"])})


def kept_of(value: Any) -> Any:
    """Make of what JSON made of them: a tuple of kept clusters, one, or None."""
    if isinstance(value, list):
        return tuple(Kept(**item) for item in value)
    return None if value is None else Kept(**value)


def grant_of(facts: Mapping[str, Any]) -> Grant:
    """Make a grant of `facts`, which may say more than a grant needs; KeyError if they say less."""
    logs = {name: LogRef(**ref) for name, ref in facts["logs"].items()}
    given = {item.name: facts[item.name] for item in fields(Grant) if item.name not in ("logs", "laid")}
    return Grant(**given, logs=logs, laid=bool(facts.get("laid", True)))
