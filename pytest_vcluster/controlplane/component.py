"""A component as data: the program to start, with which arguments and environment. Starting it is somebody else's job.

The one rule: no I/O here; whoever executes a `Component` decides about logs, limits and its death.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A program to run: `name` is what people call it, unique within a run."""

    name: str
    binary: Path
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


class RunningComponent(Protocol):
    """A component that was started."""

    @property
    def name(self) -> str:
        """The component's name."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def log(self) -> Path:
        """Where its standard output and error go."""

    @property
    def exited(self) -> asyncio.Future[int]:
        """Done as soon as the process ended; the result is its return code (negative: the signal)."""

    def kill(self) -> None:
        """Send SIGKILL to the process and everything it started; harmless if it ended already."""


class Starter(Protocol):
    """Starts components; every one of them dies with the process that started it."""

    async def start(self, component: Component) -> RunningComponent:
        """Start `component` and return at once; ProvisionError if the program can't be executed."""


# What every Go component is started with. Memory is what runs out first, for every cluster takes its own; it costs CPU
# at the start. What another value does: `python -m bench memory template`.
GO_ENVIRONMENT: Mapping[str, str] = {"GOGC": "40"}


def flags(settings: Mapping[str, str]) -> tuple[str, ...]:
    """Render `settings` as --name=value arguments, in the order given."""
    return tuple(f"--{name}={value}" for name, value in settings.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """A component that ended though it was needed: what a lease is told, and what its test's error says."""

    component: str
    status: str
    log: str
    tail: str


def describe_exit(code: int) -> str:
    """Say in words how a process ended: `killed by signal 9` or `exit code 1`."""
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
