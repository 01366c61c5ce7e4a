"""What a worker and the run service say to each other: one JSON object a line, on a Unix socket.

The one rule: encoding and decoding are pure, and both sides use the same tuples. Errors cross by the name of their
class in `pytest_vcluster.errors`, with their fields, so that a test sees the error that the service met.

Named tuples, because Python makes them with less code than dataclasses, and the first test of a run waits for all of
them, on both sides. What tells messages apart is their class: tuples of two classes may be equal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from pytest_vcluster.service.lease_terms import Death, Grant, Kept, LeaseRequest, grant_of, kept_of, request_of

# To the service. The first message on a connection says what the connection is for.


class OpenLease(NamedTuple):
    """Turns the connection into a lease. `asked` is the clock (CLOCK_MONOTONIC, one for all processes) when asked."""

    request: LeaseRequest
    asked: float


class Release(NamedTuple):
    """Ends the lease of this connection; with `keep` the cluster stays."""

    keep: bool = False


class Laid(NamedTuple):
    """The lessee has laid the baseline; answered by `Settled` or `Failed`."""


class NotLaid(NamedTuple):
    """The lessee could not lay the baseline, nor could anybody else: `why` is for them."""

    why: str


class TakeCheckpoint(NamedTuple):
    """Asks for a `CheckpointTaken`."""


class RestoreCheckpoint(NamedTuple):
    """Has the cluster go back to a checkpoint of this lease; answered by `Restored` or `Failed`."""

    checkpoint: str


class LoadImage(NamedTuple):
    """Has an image brought to the nodes of the host; answered by `ImageLoaded` or `Failed`."""

    reference: str


class DescribeHost(NamedTuple):
    """Asks for `HostFacts`, and for a host if there is none yet."""


class Summarize(NamedTuple):
    """Asks for a `Summary`."""


class Describe(NamedTuple):
    """Asks for a `Status`."""


class LiveOn(NamedTuple):
    """Has the service outlive the controller for as long as clusters are kept; answered by `Status`."""


class EndKept(NamedTuple):
    """Ends one kept cluster, or all (None); answered by `Status`."""

    cluster: str | None = None


class ShutDown(NamedTuple):
    """Ends the service; answered by the last `Summary`."""


# From the service.


class Progress(NamedTuple):
    """What is going on while the answer takes long; `quiet` where somebody else is told the same."""

    text: str
    quiet: bool = False


class Granted(NamedTuple):
    """The lease has begun."""

    grant: Grant


class Settled(NamedTuple):
    """The baseline is laid, and nothing changes any more; `revision` as in `Grant`."""

    revision: int


class CheckpointTaken(NamedTuple):
    """The state is remembered for as long as the lease lasts."""

    checkpoint: str


class Restored(NamedTuple):
    """The cluster is back at the checkpoint; `restless` names what somebody kept writing meanwhile."""

    restless: str = ""


class ImageLoaded(NamedTuple):
    """All nodes have the image."""


class Died(NamedTuple):
    """Something that this lease depends on ended; sent at once, unasked."""

    death: Death


class Released(NamedTuple):
    """The lease has ended; `kept` if the cluster stays."""

    kept: Kept | None = None


class HostFacts(NamedTuple):
    """The host, which runs."""

    facts: Mapping[str, Any]


class Summary(NamedTuple):
    """What the service did so far."""

    totals: Mapping[str, Any]


class Status(NamedTuple):
    """What there is at the moment."""

    pid: int
    controller_pid: int
    lives_on: bool
    clusters: Mapping[str, str]
    kept: tuple[Kept, ...] = ()


class Failed(NamedTuple):
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
    return json.dumps({"": type(message).__name__, **message._asdict()}, default=asdict).encode() + b"\n"


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
