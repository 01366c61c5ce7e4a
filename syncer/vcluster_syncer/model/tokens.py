"""Tokens of virtual ServiceAccounts, as a pod asks for them and as they come.

The one rule: a request is a value that can be a key; who asks for the same gets the same token.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A ServiceAccount token a pod asked for, in the virtual cluster's words; hashable, so it can be a cache key."""

    namespace: str
    service_account: str
    pod_name: str
    pod_uid: str
    audiences: tuple[str, ...] = ()
    """Empty means the virtual API server's own."""
    expiration_seconds: int = 3600
    renew: int = 0
    """Counts up when a token in use nears its end, so that the request for its successor is a different request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A minted token; times are seconds since the epoch."""

    value: str = field(repr=False)
    issued: float
    expires: float
