"""What a worker and the run service say to each other: JSON objects, one a line, over the run's Unix socket.

The one rule: values in, text out, and back; no I/O. A worker sends one request per connection (`op`); the service
answers with events (`event`) until the last one, which is `granted`, `answer` or `error`. On a connection that was
granted a lease, further requests (`deaths`, `release`) each get one more answer.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pytest_vcluster import errors
from pytest_vcluster.settings import NodeShape

SOCKET = "service.sock"
CONFIG = "service.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One test run. `directory` holds a folder for every service the run had (usually one), each with its socket."""

    id: str
    controller_pid: int
    directory: Path

    @classmethod
    def of_controller(cls) -> Run:
        """The run of this process, which is the one whose end ends the run."""
        run_id = f"{os.getpid()}-{secrets.token_hex(3)}"
        return cls(id=run_id, controller_pid=os.getpid(), directory=base_directory() / run_id)

    def to_json(self) -> dict[str, Any]:
        """As plain data, for xdist's workers."""
        return {"id": self.id, "controller_pid": self.controller_pid, "directory": str(self.directory)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Run:
        """What `to_json` described."""
        return cls(
            id=document["id"],
            controller_pid=int(document["controller_pid"]),
            directory=Path(document["directory"]),
        )


def base_directory() -> Path:
    """Where this user's runs are: in the temporary folder, because sockets need short paths and nothing is kept."""
    return Path(tempfile.gettempdir()) / f"pytest-vcluster-{os.getuid()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRequest:
    """What a test asks for. `expected` tells how many leases of each version the whole run will ask for.

    With `on_host` the cluster must have its nodes; without, the first of a run may get them a second later.
    """

    version: str
    isolation: str = "recycle"
    nodes: tuple[NodeShape, ...] = ()
    holder: str = ""
    expected: Mapping[str, int] = field(default_factory=dict)
    on_host: bool = False

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "version": self.version,
            "isolation": self.isolation,
            "nodes": [node.to_json() for node in self.nodes],
            "holder": self.holder,
            "expected": dict(self.expected),
            "on_host": self.on_host,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> LeaseRequest:
        """What `to_json` described."""
        return cls(
            version=document["version"],
            isolation=document["isolation"],
            nodes=tuple(NodeShape.from_json(node) for node in document["nodes"]),
            holder=document["holder"],
            expected=dict(document["expected"]),
            on_host=bool(document["on_host"]),
        )


@dataclass(frozen=True, slots=True)
class LogRef:
    """A component's log, and how long it was when the lease began."""

    path: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A lease in all its particulars; `revision` is the resourceVersion at its beginning."""

    cluster: str
    version: str
    url: str
    kubeconfig: str = field(repr=False)
    certificate_authority: str = field(repr=False)
    client_certificate: str = field(repr=False)
    client_key: str = field(repr=False)
    client_ca_certificate: str = field(repr=False)
    client_ca_key: str = field(repr=False)
    revision: int
    logs: Mapping[str, LogRef]
    host: Mapping[str, str]
    prepared_seconds: float
    waited_seconds: float

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Grant:
        """What `to_json` described."""
        logs = {name: LogRef(log["path"], log["offset"]) for name, log in document["logs"].items()}
        return cls(**{**document, "logs": logs})


def encode(message: Mapping[str, Any]) -> bytes:
    """One message as one line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The message that `encode` made into `line`; ValueError for anything else."""
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError(f"not a message: {line[:200]!r}")  # noqa: TRY004 - whoever sends a list sends nonsense
    return message


def error_event(error: BaseException) -> dict[str, Any]:
    """`error` as the event that `raised` turns into an error of the same class again."""
    known = type(error) if isinstance(error, errors.VClusterError) else errors.ProvisionError
    text = str(error) if isinstance(error, errors.VClusterError) else f"{type(error).__name__}: {error}"
    notes = getattr(error, "__notes__", ())
    return {"event": "error", "class": known.__name__, "text": "\n".join([text, *notes])}


def raised(event: Mapping[str, Any]) -> errors.VClusterError:
    """The error that an `error` event tells of."""
    known: type[errors.VClusterError] = getattr(errors, str(event.get("class")), errors.ProvisionError)
    error = known.__new__(known)
    # Its text was made on the other side; the class's own constructor would want the parts of it.
    Exception.__init__(error, event.get("text", ""))
    return error
