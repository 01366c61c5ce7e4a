"""What the controller manager has asked for that the API server has not answered yet.

Neither process has anything to do while an answer waits for somebody else: for a webhook, which may take half a minute,
or for the 50 ms that admission gives a namespace to appear. Whatever the answer is, an object or a Warning of why there
is none, it would come to the next test. The one rule: a request is open from the line that tells that it was received
to the line that tells that it is over; a watch, which is never over, has neither.

The 50 ms: https://github.com/kubernetes/apiserver/blob/master/pkg/admission/plugin/namespace/lifecycle/admission.go
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from vcluster_syncer.recycle.audit_log import AuditLog

CONTROLLER_MANAGER = b'"system:kube-controller-manager"'
"""As whom it asks, in the log; what else is noted of it is told by `requests`."""
_RECEIVED = "RequestReceived"


class _Open(NamedTuple):
    words: str
    since: float


class OpenRequests:
    """The open requests in an audit log that grows; there are none where there is no log."""

    def __init__(self, log: Path | None) -> None:
        self._log = AuditLog(log)
        self._at = 0
        self._open: dict[str, _Open] = {}

    def look(self) -> list[str]:
        """Read on, and tell what is open now, in words; Unreadable if that can't be told."""
        lines, self._at = self._log.lines(self._at)
        for event in self._log.events([line for line in lines if CONTROLLER_MANAGER in line]):
            identity = event.get("auditID", "")
            if event.get("stage") != _RECEIVED:
                self._open.pop(identity, None)
            elif "objectRef" in event:
                self._open[identity] = _Open(f"{event.get('verb')} {event.get('requestURI')}", time.monotonic())
        return [request.words for request in self._open.values()]

    def unanswered(self, *, seconds: float) -> str:
        """Tell of a request that looks have found open for so long, in words; empty if there is none.

        Somebody who asks one thing after the other, as when he starts, always waits, but for no answer for long.
        """
        latest = time.monotonic() - seconds
        return next((request.words for request in self._open.values() if request.since <= latest), "")
