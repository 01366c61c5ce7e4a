"""What a component said last, for errors that tell why it is not there any more.

The one rule: a log that can't be read is no error of its own.
"""

from __future__ import annotations

from pathlib import Path

from pytest_vcluster.controlplane.component import RunningComponent
from pytest_vcluster.errors import ProvisionError

_TAIL_LINES = 15
_TAIL_BYTES = 64 * 1024


def ended_early(component: RunningComponent) -> ProvisionError:
    """Make the error for a `component` that ended while it was expected to come up."""
    return ProvisionError(
        f"{component.name} ended with {component.exited.result()} while starting.\n"
        f"Last lines of {component.log}:\n{tail(component.log)}\n"
        "Run `pytest-vcluster doctor` to check the binaries and this machine."
    )


def tail(log: Path, *, lines: int = _TAIL_LINES) -> str:
    """The last `lines` lines of a log, or a note that there is none."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            return "\n".join(stream.read().decode(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return f"(no log: {error})"
