"""What an API server was asked during a lease, by the audit log that it writes.

The data store tells what there is. It leaves out two things that the next test may feel: what was there for a while
and is gone again, and whether the controller manager looked meanwhile at which kinds there are. It looks every 30
seconds, and makes itself at home with what it finds: it watches each kind, and what keeps to quotas stands still until
the new watches have begun, which those of a definition that was put away never do. And it remembers, by their names,
how much autoscalers have wanted.

The one rule: what can't be told is taken for the worst.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vcluster_syncer.recycle.audit_log import AuditLog, Unreadable
from vcluster_syncer.recycle.barrier import SHAPING
from vcluster_syncer.recycle.open_requests import CONTROLLER_MANAGER

_CONTROLLER_MANAGER, _FORGETFUL = "kube-controller-manager/", "/namespace-controller"
"""How the user agents of its parts begin; the one that looks whenever a namespace is deleted keeps nothing."""
_AUTOSCALERS = "horizontalpodautoscalers"
_LEAST_ERROR = 300


@dataclass(slots=True)
class Noticed:
    """What was asked, as far as the data store may not show it."""

    collections: set[str] = field(default_factory=set)
    """Collections of which something was written."""
    namespaces: set[bytes] = field(default_factory=set)
    """Names of namespaces that were deleted."""
    redefined: bool = False
    """Whether a definition was touched."""
    outdated: bool = False
    """Whether the controller manager looked at which kinds there are after a definition was touched."""
    autoscaled: bool = False
    """Whether there was an autoscaler: in its stabilization window the controller manager knows what it wanted."""

    def take(self, event: Mapping[str, Any]) -> None:
        """Take in one event, https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/."""
        reference = event.get("objectRef")
        if reference is None:
            agent = event.get("userAgent", "")
            keeps = agent.startswith(_CONTROLLER_MANAGER) and not agent.endswith(_FORGETFUL)
            self.outdated = self.outdated or (self.redefined and keeps)
            return
        group, plural = reference.get("apiGroup", ""), reference["resource"]
        together = f"{group}/{plural}"
        if together in SHAPING:
            # Told before it is answered, and whatever the answer: by then it may have been seen.
            self.collections.add(together)
            self.redefined = True
        elif plural == _AUTOSCALERS:
            self.autoscaled = True
        elif event.get("responseStatus", {}).get("code", 0) < _LEAST_ERROR:
            self.collections.add(plural)
            if plural == "namespaces" and event["verb"] == "delete":
                self.namespaces.add(reference.get("name", "").encode())


class Requests:
    """An audit log that grows; None where there is none."""

    def __init__(self, log: Path | None) -> None:
        self.log = AuditLog(log)
        self._at = 0
        self._lease = Noticed()

    def begin(self) -> None:
        """Start over: what was asked up to now is no business of the next lease."""
        self._at = self.mark()
        self._lease = Noticed()

    def mark(self) -> int:
        """Tell how far the log goes."""
        return self.log.end()

    def news(self) -> Noticed:
        """Tell what was asked since the last look; `redefined`, `outdated` and `autoscaled` are the whole lease's."""
        before = self._lease
        found = Noticed(redefined=before.redefined, outdated=before.outdated, autoscaled=before.autoscaled)
        self._at = self._read(self._at, found)
        self._lease = found
        return found

    def outdated(self, *, redefined: bool, measured: bool, since: int | None = None) -> bool:
        """Tell whether the controller manager goes by what was there in this lease, or in the time since a `mark`.

        That are definitions, if there were any (if they were `redefined`), and autoscalers, where they had figures to
        go by: the cluster's own (it is `measured`), or those that a definition of the lease brought. Without a log it
        does if it can.
        """
        if self.log.path is None:
            return redefined or measured
        found = self._lease
        if since is not None:
            found = Noticed()
            self._read(since, found)
        return found.outdated or (found.autoscaled and (measured or found.redefined))

    def _read(self, start: int, into: Noticed) -> int:
        """Take in all whole lines from `start` on; tells where they end."""
        lines, end = self.log.lines(start)
        # What the controller manager wrote the data store shows; its lines are for `open_requests`.
        told = [line for line in lines if CONTROLLER_MANAGER not in line or b'"objectRef"' not in line]
        try:
            for event in self.log.events(told):
                into.take(event)
        except KeyError as error:
            raise Unreadable(
                f"{self.log.path} does not tell what was asked: {type(error).__name__}: {error}"
            ) from error
        return end
