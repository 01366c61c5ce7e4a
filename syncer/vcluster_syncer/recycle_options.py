"""What recycling is told: where the state of a tenant is, and what is asked of it later.

The one rule: pure readers, as in `tenant_options`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vcluster_syncer.fields import ConfigError, Fields, parse_json


@dataclass(frozen=True, slots=True, kw_only=True)
class RecycleConfig:
    """Where the state of a virtual cluster is."""

    etcd: Path
    """The Unix socket of its etcd."""
    prefix: str
    """What its keys begin with; ends in a slash."""
    freeze: tuple[int, ...] = ()
    """Processes that stand still meanwhile: its controller manager."""
    rest: tuple[int, ...] = ()
    """Processes that must have nothing left to do in the end: its API server and its controller manager."""
    freeze_commands: tuple[str, ...] = ()
    rest_commands: tuple[str, ...] = ()
    """Both by what they were started as, where their ids are not known beforehand."""
    processes: Path = Path("/proc")
    """Where the system lists its processes."""
    audit: Path | None = None
    """The API server's audit log, by the policy that `recycle.requests` needs; None if it keeps none."""


def parse_recycle(tenant: Fields) -> RecycleConfig | None:
    """Read `recycle`."""
    if tenant.take("recycle", (dict, type(None)), None) is None:
        return None
    fields = tenant.mapping("recycle")
    prefix = fields.required("prefix")
    if not prefix.endswith("/"):
        # Otherwise /a would reach into /ab.
        raise ConfigError(f"{fields.source}: prefix must end with a slash, it is {prefix!r}")
    by = fields.mapping("commands", optional=True)
    config = RecycleConfig(
        etcd=Path(fields.required("etcd")),
        prefix=prefix,
        freeze=_parse_pids(fields, "freeze"),
        rest=_parse_pids(fields, "rest"),
        freeze_commands=by.commands("freeze"),
        rest_commands=by.commands("rest"),
        processes=Path(by.take("directory", str, "/proc")),
        audit=Path(audit) if (audit := fields.take("audit", str, "")) else None,
    )
    for part in (by, fields):
        part.nothing_else()
    if (config.freeze or config.rest) and (config.freeze_commands or config.rest_commands):
        raise ConfigError(f"{fields.source}: processes are named either by their ids or by their commands")
    return config


def parse_read_before(body: bytes) -> Mapping[str, Any]:
    """Read what etcd answered to whoever read the state of a tenant before it was carried."""
    return parse_json(body, "recycle")


def parse_restore(body: bytes) -> str:
    """Read which checkpoint to restore."""
    fields = Fields(parse_json(body, "restore"), "restore")
    name = fields.required("checkpoint")
    fields.nothing_else()
    return name


def parse_restart(body: bytes, *, order: str = "restart") -> tuple[int, ...]:
    """Read which processes are to be frozen from now on."""
    fields = Fields(parse_json(body, order), order)
    pids = _parse_pids(fields, "freeze")
    fields.nothing_else()
    return pids


def parse_since(text: str) -> int:
    """Read the revision that changes are asked for."""
    if not text.isdecimal():
        raise ConfigError(f"changes: since must be a revision of the data store, it is {text!r}")
    return int(text)


def _parse_pids(fields: Fields, name: str) -> tuple[int, ...]:
    pids = fields.take(name, list, [])
    if not all(isinstance(pid, int) and not isinstance(pid, bool) and pid > 1 for pid in pids):
        raise ConfigError(f"{fields.source}: {name} must be a list of process ids, it is {pids!r}")
    return tuple(pids)
