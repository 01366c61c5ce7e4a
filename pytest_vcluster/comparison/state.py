"""What an API server tells of itself at one moment, as a value.

The one rule: it is as the server gave it; what two clusters may differ in is `likeness`' business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schemas:
    """One OpenAPI v3 document: the server's hash of it, and if it was read, a digest of every path and schema in it."""

    hash: str
    parts: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiState:
    """All objects, all that discovery says, all schemas."""

    objects: Mapping[str, Mapping[str, Object]] = field(default_factory=dict)
    """Kind (`deployments.apps`) -> name (`default/web`, or `web` where there are no namespaces) -> object."""
    discovery: Mapping[str, Object] = field(default_factory=dict)
    """Path -> document; the two aggregated ones have ` (aggregated)` after their path."""
    schemas: Mapping[str, Schemas] = field(default_factory=dict)
    """Group and version as the index of OpenAPI v3 has them (`apis/apps/v1`) -> its document."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """What could not be read though the server says that it is there -> what the server answered."""

    def has_other_schema(self, group_version: str, digest: str) -> bool:
        """Whether the document that a server has under this hash (`digest`) is not the one known here."""
        known = self.schemas.get(group_version)
        return known is None or known.hash != digest
