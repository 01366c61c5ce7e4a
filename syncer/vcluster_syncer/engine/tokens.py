"""Remembers minted ServiceAccount tokens between the request that brought them and the reconcile that needs them.

The one rule: a token that has expired is not there.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from vcluster_syncer.model import Token, TokenRequest

# Far more than there can be keys between a token's arrival and its use; a bound all the same.
_REMEMBERED = 4096
_PURGED_EVERY = 60.0


class Tokens:
    """Tokens of one tenant by the request that asked for them."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._tokens: dict[TokenRequest, Token] = {}
        self._purged = 0.0

    def __len__(self) -> int:
        return len(self._tokens)

    def get(self, request: TokenRequest) -> Token | None:
        """The token of exactly this request, if it still holds."""
        token = self._tokens.get(request)
        return token if token is not None and token.expires > self._now() else None

    def put(self, request: TokenRequest, answer: dict[str, Any]) -> None:
        """Remember what the server answered; KeyError or ValueError if that is no TokenRequest."""
        now = self._now()
        expires = datetime.fromisoformat(answer["status"]["expirationTimestamp"]).timestamp()
        if now - self._purged >= _PURGED_EVERY:
            self._purged = now
            self._tokens = {old: token for old, token in self._tokens.items() if token.expires > now}
        if len(self._tokens) >= _REMEMBERED:
            del self._tokens[next(iter(self._tokens))]
        self._tokens[request] = Token(value=answer["status"]["token"], issued=now, expires=expires)
