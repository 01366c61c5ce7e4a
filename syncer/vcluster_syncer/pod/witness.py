"""Remembering which processes the cluster began with, for their containers to be started anew unnoticed.

A data store in memory that ends has lost the cluster; an API server that ends has lost what it promised to its clients,
and with it all that is known of its caches. The one rule: once in doubt, always in doubt: also when this process itself
is started anew, which is why what is remembered is in a file beside the store.
"""

from __future__ import annotations

from pathlib import Path

import orjson

from vcluster_syncer.recycle import processes
from vcluster_syncer.recycle.processes import Process


class Witness:
    """Who was there; `record` is the file in which it is written; None: in none."""

    def __init__(self, record: Path | None, directory: Path = processes.PROC) -> None:
        self._record = record
        self._directory = directory
        self._known = {} if record is None else _read(record)

    def note(self, command: str) -> None:
        """Remember who runs as `command` now, if that was not done before; NotFrozen if nobody does."""
        if command in self._known:
            return
        found = processes.some(command, processes.listing(self._directory))
        self._known[command] = found
        if self._record is None:
            return
        document = {name: [[one.pid, one.started] for one in known] for name, known in self._known.items()}
        written = self._record.with_name(f"{self._record.name}.new")
        written.write_bytes(orjson.dumps(document))
        written.replace(self._record)

    def doubt(self) -> str:
        """Why the cluster can't be trusted any more, empty if it can."""
        for command, known in self._known.items():
            if any(processes.look(one.pid, self._directory) != one for one in known):
                return (
                    f"{command} ended after the cluster had begun, and what it had in memory is lost: "
                    "this cluster can't be trusted any more, throw it away"
                )
        return ""


def _read(record: Path) -> dict[str, tuple[Process, ...]]:
    try:
        text = record.read_bytes()
    except FileNotFoundError:
        return {}
    return {
        command: tuple(Process(pid, command, started) for pid, started in known)
        for command, known in orjson.loads(text).items()
    }
