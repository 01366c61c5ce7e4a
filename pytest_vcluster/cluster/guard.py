"""The question behind every failed call, whether a process of the cluster has died.

The one rule: a death explains whatever else went wrong, so it is what is raised, with the rest as its cause.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from pytest_vcluster.cluster.lease import Lease
from pytest_vcluster.errors import ComponentDied, LeaseLost, VClusterError

# A killed API server's connections break a moment before anybody can know why.
_NOTICE_SECONDS = 1.0
_POLL_SECONDS = 0.01


class Guard:
    """Turns failures of calls into what is behind them; use it as `with guard(): ...`."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """Raise ComponentDied for any failure within if one has died, LeaseLost if the cluster can't be reached."""
        from pytest_vcluster.controlplane.http import Unreachable  # noqa: PLC0415 - start-up time

        try:
            yield
        except ComponentDied:
            raise
        except Unreachable as error:
            self.check(patience=_NOTICE_SECONDS, cause=error)
            name, url = self._lease.grant.cluster, self._lease.grant.url
            message = (
                f"The API server of {name} can't be reached any more.\nLast seen: {error}\n"
                f"No process of the cluster is known to have died within {_NOTICE_SECONDS:g} s, so its lease has "
                f"probably ended: {url} answers only as long as the fixture that gave it out lasts."
            )
            raise LeaseLost(message) from error
        except VClusterError as error:
            self.check(cause=error)
            raise

    def check(self, *, patience: float = 0.0, cause: BaseException | None = None) -> None:
        """Raise ComponentDied if a process has died, waiting `patience` seconds for the news."""
        deadline = time.monotonic() + patience
        while not (deaths := list(self._lease.deaths())):
            if time.monotonic() >= deadline:
                return
            time.sleep(_POLL_SECONDS)
        first, *others = deaths
        died = ComponentDied(
            first.component, status=first.status, log=Path(first.log) if first.log else None, tail=first.tail
        )
        for other in others:
            died.add_note(f"{other.component} died too ({other.status}).")
        raise died from cause
