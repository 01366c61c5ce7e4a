"""A backplane from its opening to its end, with the clusters that live on it.

The one rule: clusters leave before their backplane does, whether it is closed or died.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from pytest_vcluster.service.backplane import Backplane, DeathOf


class Shared:
    """One backplane, made by `opening`."""

    def __init__(self, opening: Callable[[], AbstractAsyncContextManager[Backplane]]) -> None:
        self.useful = False
        """Whether a cluster got ready on it."""
        self._opening = opening
        self._opened: asyncio.Future[Backplane] = asyncio.get_running_loop().create_future()
        self._close = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._users = 0
        self._running: asyncio.Task[None] | None = None

    @property
    def closing(self) -> bool:
        """Whether it was told to close."""
        return self._close.is_set()

    @property
    def ending(self) -> bool:
        """Whether it is closing, or died."""
        return self._close.is_set() or (
            self._opened.done()
            and not self._opened.cancelled()
            and self._opened.exception() is None
            and self._opened.result().failed.is_set()
        )

    async def backplane(self) -> Backplane:
        """Wait until it is open; raises why it can't be opened."""
        return await asyncio.shield(self._opened)

    def enter(self) -> None:
        """Count one more user."""
        self._users += 1
        self._empty.clear()

    def exit(self) -> None:
        """Count one user less."""
        self._users -= 1
        if self._users == 0:
            self._empty.set()

    def close(self) -> None:
        """Have `run` end, in the middle of the opening if need be."""
        self._close.set()
        if self._running is not None and not self._opened.done():
            self._running.cancel()

    async def run(self, ended: Callable[[Sequence[DeathOf]], None]) -> None:
        """Open the backplane and stay until it is closed or dies; then call `ended`, which has all users leave."""
        self._running = asyncio.current_task()
        try:
            async with self._opening() as backplane:
                self._opened.set_result(backplane)
                await self._until_over(backplane)
                ended(tuple(backplane.deaths) if backplane.failed.is_set() else ())
                await self._empty.wait()
        except BaseException as error:
            if not self._opened.done():
                if isinstance(error, Exception):
                    self._opened.set_exception(error)
                    self._opened.exception()  # those who wait get it; maybe nobody does
                else:
                    self._opened.cancel()
            raise

    async def _until_over(self, backplane: Backplane) -> None:
        closing = asyncio.ensure_future(self._close.wait())
        dying = asyncio.ensure_future(backplane.failed.wait())
        try:
            await asyncio.wait((closing, dying), return_when=asyncio.FIRST_COMPLETED)
        finally:
            closing.cancel()
            dying.cancel()
