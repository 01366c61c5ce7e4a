"""What a failure leaves: a folder that tells what happened in the cluster since the lease began.

The one rule: it never raises, because the test's own error is the one to be read; a part that fails is named in
`errors.txt` and the others are there all the same. It is done when its time is up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_vcluster.cluster import pending
from pytest_vcluster.cluster.changes import changed_objects, write_object
from pytest_vcluster.cluster.events import events_of, table
from pytest_vcluster.cluster.objects import metadata
from pytest_vcluster.private_files import write_private

if TYPE_CHECKING:
    from pytest_vcluster.cluster.handle import VCluster

_PENDING_SECONDS = 3.0
_LOG_BYTES = 8 * 1024 * 1024
_README = """\
Evidence of the cluster {name} (Kubernetes {version}), taken {age}.

objects/      What was created or changed since the test got its cluster, as it was then, one file each:
              objects/<namespace, or _cluster>/<kind.group>/<name>.yaml. Deleted objects are not among them.
              Values of Secrets are left out, and so is metadata.managedFields.
events.txt    All events since then, oldest first.
pending.txt   Only if a pod is not ready: what it waits for, here and on the host, and what the host says of it.
logs/         What the cluster's components have logged since then.
deaths.txt    Only if one of them died: which, how, and its last words.
kubeconfig    Access to the cluster, for as long as it exists: --vcluster-keep on-failure keeps it.
errors.txt    Only if something of this could not be had: what, and why.
"""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where the evidence is, and what of it in one line."""

    directory: Path
    summary: str


@dataclass(slots=True)
class _Collection:
    cluster: VCluster
    directory: Path
    deadline: float
    problems: list[str] = field(default_factory=list)

    def left(self) -> float:
        return max(0.1, self.deadline - time.monotonic())


def collect(cluster: VCluster, directory: Path, *, timeout: float) -> Evidence:
    """Write evidence of `cluster` into `directory`, as much of it as can be had in `timeout` seconds."""
    collection = _Collection(cluster, directory, time.monotonic() + timeout)
    parts: Sequence[tuple[str, Callable[[_Collection], str]]] = (
        ("README.txt", _readme),
        ("kubeconfig", _kubeconfig),
        ("deaths.txt", _deaths),
        ("logs", _logs),
        ("events.txt", _events),
        ("pending.txt", _pending),
        ("objects", _objects),
    )
    found: list[str] = []
    for name, part in parts:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            found.append(part(collection))
        except Exception as error:  # whatever it is, it must not take the place of the test's own error
            collection.problems.append(f"{name}: {type(error).__name__}: {error}")
    if collection.problems:
        found.append(f"incomplete: {len(collection.problems)} problems, see errors.txt")
        try:
            text = "".join(f"{problem}\n" for problem in collection.problems)
            (directory / "errors.txt").write_text(text, encoding="utf-8")
        except OSError as error:
            found.append(f"errors.txt can't be written: {error}; {'; '.join(collection.problems)}")
    return Evidence(directory, ", ".join(text for text in found if text))


def _readme(collection: _Collection) -> str:
    cluster = collection.cluster
    text = _README.format(name=cluster.name, version=cluster.version, age=time.strftime("%Y-%m-%d %H:%M:%S %z"))
    (collection.directory / "README.txt").write_text(text, encoding="utf-8")
    return ""


def _kubeconfig(collection: _Collection) -> str:
    write_private(collection.directory / "kubeconfig", collection.cluster.lease.grant.kubeconfig)
    return ""


def _deaths(collection: _Collection) -> str:
    deaths = collection.cluster.lease.deaths()
    if not deaths:
        return ""
    text = "\n".join(f"{death.component}: {death.status}\n{death.tail}\n" for death in deaths)
    (collection.directory / "deaths.txt").write_text(text, encoding="utf-8")
    return f"{', '.join(death.component for death in deaths)} died"


def _logs(collection: _Collection) -> str:
    folder = collection.directory / "logs"
    folder.mkdir(exist_ok=True)
    names: list[str] = []
    if "pod" in collection.cluster.lease.grant.host:
        for component, text in collection.cluster.host.component_logs():
            (folder / f"{component}.log").write_text(text, encoding="utf-8")
            names.append(component)
    for component, log in collection.cluster.lease.grant.logs.items():
        name = component.replace("/", "-")
        try:
            (folder / f"{name}.log").write_bytes(_log_since(Path(log.path), log.offset))
            names.append(name)
        except OSError as error:
            collection.problems.append(f"log of {component}: {error}")
    return f"logs of {', '.join(names)}" if names else ""


def _log_since(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        end = file.seek(0, 2)
        begin = max(offset, end - _LOG_BYTES)
        file.seek(begin)
        cut = f"[{begin - offset} bytes before this are left out]\n".encode() if begin > offset else b""
        return cut + file.read(_LOG_BYTES)


def _events(collection: _Collection) -> str:
    since = collection.cluster.lease.grant.revision
    events = [
        event
        for event in events_of(collection.cluster.api, None, timeout=collection.left())
        if int(metadata(event).get("resourceVersion", 0)) > since
    ]
    (collection.directory / "events.txt").write_text(table(events), encoding="utf-8")
    return f"{len(events)} events"


def _pending(collection: _Collection) -> str:
    found = pending.pods(
        collection.cluster.lease.grant.host, collection.cluster.name, timeout=min(_PENDING_SECONDS, collection.left())
    )
    if not found:
        return ""
    (collection.directory / "pending.txt").write_text(pending.text(found), encoding="utf-8")
    return f"{len(found)} pods not ready"


def _objects(collection: _Collection) -> str:
    grant = collection.cluster.lease.grant
    folder = collection.directory / "objects"
    folder.mkdir(exist_ok=True)
    number = 0
    for resource, changed in changed_objects(
        collection.cluster.api, since=grant.revision, deadline=collection.deadline, problems=collection.problems
    ):
        write_object(folder, resource, changed)
        number += 1
    return f"{number} objects changed"
