"""Writes a run's results as JSON, with all that is needed to compare them with another run's.

The one rule: a file says on which machine, from which revision and beside what load its figures were taken.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.model import Contender, Results
from bench.targets import Verdict

FORMAT = 1


def default_path(folder: Path, *, name: str, now: datetime.datetime) -> Path:
    """Where results go when nobody says: `<date>-<name>.json`, with the time so that no run replaces another's."""
    return folder / f"{now:%Y-%m-%d-%H%M%S}-{name}.json"


def document(
    contenders: Sequence[Contender],
    results: Results,
    verdicts: Sequence[Verdict],
    *,
    machine: Mapping[str, Any],
    rounds: int,
    quick: bool,
) -> dict[str, Any]:
    """All results as JSON values."""
    metrics = [metric for contender in contenders for metric in contender.metrics]
    return {
        "format": FORMAT,
        "machine": dict(machine),
        "rounds": rounds,
        "quick": quick,
        "metrics": results.to_json(metrics),
        "not_measured": dict(results.missing),
        "targets": [verdict.to_json() for verdict in verdicts],
    }


def write(path: Path, values: Mapping[str, Any]) -> None:
    """Write `values` to `path`, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
