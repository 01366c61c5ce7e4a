"""The sockets of one HTTP client, so that none outlives it.

The one rule: whoever made them closes them, and waits until they are. An HTTP client that is closed lets go of a
connection that is still being made, or whose request was cancelled, but the connection lives on until its peer has
answered TLS's greeting or its goodbye: a round trip if all is well, half a minute if the peer is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import weakref
from typing import Any

_POLL = 0.001
_LONGEST = 1.0
"""Seconds. They close by themselves a few turns of the loop after they were shut down; a busy machine takes longer."""


class Sockets:
    """Makes sockets, and closes those that are left."""

    def __init__(self) -> None:
        self._made: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def make(self, address: tuple[Any, ...]) -> socket.socket:
        """A socket for an address as `socket.getaddrinfo` returns it."""
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        self._made.add(made)
        return made

    async def close(self) -> None:
        """Shut all down that are open, and wait until their owners have closed them, a second at most."""
        now = asyncio.get_running_loop().time
        deadline = now() + _LONGEST
        while (left := [made for made in self._made if made.fileno() >= 0]) and now() < deadline:
            for each in left:
                with contextlib.suppress(OSError):  # not connected yet, or not any more
                    each.shutdown(socket.SHUT_RDWR)
            await asyncio.sleep(_POLL)
