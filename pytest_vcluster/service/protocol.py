"""What a worker and the run service say to each other: one JSON object a line, on a Unix socket.

The one rule: encoding and decoding are pure, and both sides use the same frozen dataclasses. Errors cross by the name
of their class in `pytest_vcluster.errors`, with their fields, so that a test sees the error that the service met.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pytest_vcluster.service.lease_terms import Death, Grant, Kept, LeaseRequest, grant_of, kept_of, request_of

# To the service. The first message on a connection says what the connection is for.


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLease:
    """Turns the connection into a lease. `asked` is the clock (CLOCK_MONOTONIC, one for all processes) when asked."""

    request: LeaseRequest
    asked: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Ends the lease of this connection; with `keep` the cluster stays."""

    keep: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """The lessee has laid the baseline; answered by `Settled` or `Failed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotLaid:
    """The lessee could not lay the baseline, nor could anybody else: `why` is for them."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeCheckpoint:
    """Asks for a `CheckpointTaken`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreCheckpoint:
    """Has the cluster go back to a checkpoint of this lease; answered by `Restored` or `Failed`."""

    checkpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadImage:
    """Has an image brought to the nodes of the host; answered by `ImageLoaded` or `Failed`."""

    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeHost:
    """Asks for `HostFacts`, and for a host if there is none yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summarize:
    """Asks for a `Summary`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Describe:
    """Asks for a `Status`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOn:
    """Has the service outlive the controller for as long as clusters are kept; answered by `Status`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndKept:
    """Ends one kept cluster, or all (None); answered by `Status`."""

    cluster: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutDown:
    """Ends the service; answered by the last `Summary`."""


# From the service.


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is going on while the answer takes long; `quiet` where somebody else is told the same."""

    text: str
    quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The lease has begun."""

    grant: Grant


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The baseline is laid, and nothing changes any more; `revision` as in `Grant`."""

    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointTaken:
    """The state is remembered for as long as the lease lasts."""

    checkpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """The cluster is back at the checkpoint; `restless` names what somebody kept writing meanwhile."""

    restless: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLoaded:
    """All nodes have the image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Died:
    """Something that this lease depends on ended; sent at once, unasked."""

    death: Death


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """The lease has ended; `kept` if the cluster stays."""

    kept: Kept | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """The host, which runs."""

    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the service did so far."""

    totals: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What there is at the moment."""

    pid: int
    controller_pid: int
    lives_on: bool
    clusters: Mapping[str, str] = field(default_factory=dict)
    kept: tuple[Kept, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The request failed; `error` as `wire_errors.describe_error` makes it."""

    error: Mapping[str, Any]


Message = (
    OpenLease
    | Laid
    | NotLaid
    | TakeCheckpoint
    | RestoreCheckpoint
    | LoadImage
    | ImageLoaded
    | Settled
    | CheckpointTaken
    | Restored
    | Release
    | DescribeHost
    | Summarize
    | Describe
    | LiveOn
    | EndKept
    | ShutDown
    | Progress
    | Granted
    | Died
    | Released
    | HostFacts
    | Summary
    | Status
    | Failed
)
_BY_NAME: Mapping[str, type[Message]] = {kind.__name__: kind for kind in Message.__args__}


def encode(message: Message) -> bytes:
    """Encode `message` as one line."""
    return json.dumps({"": type(message).__name__, **asdict(message)}).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Decode one line; ValueError if it is no message."""
    try:
        document = json.loads(line)
        kind = _BY_NAME[document.pop("")]
        return kind(**{name: _NESTED.get(name, _same)(value) for name, value in document.items()})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = f"not a message of the run service: {line[:200]!r} ({error})"
        raise ValueError(message) from error


def _same(value: Any) -> Any:
    return value


_NESTED: Mapping[str, Callable[[Any], Any]] = {
    "request": request_of,
    "grant": grant_of,
    "death": lambda value: Death(**value),
    "kept": kept_of,
}
