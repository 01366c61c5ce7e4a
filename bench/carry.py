"""What a virtual cluster costs against its host: the same objects, put into it and straight into the host.

The one rule: every figure of the virtual cluster has its counterpart from the same minute on the same host.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bench import names, processes, suite
from bench.loads import Sizes
from bench.model import Contender, Ground, Metric, NotMeasured, Once, Samples
from bench.syncing import RECORD

_TURN_SECONDS = 1800.0


@contextmanager
def opened(ground: Ground) -> Iterator[Once]:
    """Every turn opens a backplane, and goes through all cases on it."""
    if not processes.is_supported():
        raise NotMeasured("only Linux tells private memory per process (/proc/*/smaps_rollup)")
    turns = iter(range(1000))

    def once() -> Samples:
        made = suite.project(ground, f"carry-{next(turns)}", tests="")
        arguments = (ground.version, str(made.directory), "quick" if ground.quick else "whole")
        with suite.launched(made, "bench.syncing", *arguments) as process:
            suite.finish(made, process, within=_TURN_SECONDS)
        return samples(json.loads(line) for line in (made.directory / RECORD).read_text(encoding="utf-8").splitlines())

    yield once


def samples(notes: Iterable[Mapping[str, Any]]) -> Samples:
    """The figures of each row; lags in milliseconds."""
    found: dict[str, list[float]] = {}
    for note in notes:
        found.setdefault(note["row"], []).extend(note["figures"])
    return found


def metrics(sizes: Sizes) -> tuple[Metric, ...]:
    """The rows for so many of everything."""
    rows: list[Metric] = []
    pods = [names.CARRY_PODS.format(count=count) for count in (sizes.few, sizes.many)]
    for case, ends in (
        *((case, (names.CREATING, names.RUNNING)) for case in pods),
        (names.CARRY_DEPLOYMENT.format(count=sizes.many), (names.RUNNING,)),
        (names.CARRY_SERVICES.format(count=sizes.services), (names.CREATING, names.ON_HOST)),
        (
            names.CARRY_CONFIG_MAPS.format(count=sizes.config_maps, used=sizes.used),
            (names.CREATING, names.ON_HOST),
        ),
    ):
        for end in ends:
            host = names.CARRY.format(case=end.format(case=case), side=names.HOST)
            virtual = names.CARRY.format(case=end.format(case=case), side=names.VIRTUAL)
            rows += [Metric(name=virtual, unit="s", base=host), Metric(name=host, unit="s")]
    rows += [
        Metric(name=lag.format(count=count), unit="ms")
        for count in (sizes.few, sizes.many)
        for lag in (names.CARRY_STATUS_LAG, names.CARRY_POD_LAG)
    ]
    return (
        *rows,
        Metric(name=names.CARRY_STATUS_LAG.format(count=f"{sizes.many} at once"), unit="ms"),
        Metric(name=names.CARRY_CHANGE_LAG.format(count=sizes.few), unit="ms"),
        Metric(name=names.CARRY_CPU, unit="s"),
        Metric(name=names.CARRY_TENANT, unit="MB"),
        Metric(name=names.CARRY_MEMORY, unit="MB"),
        Metric(name=names.CARRY_UNUSED, unit=""),
    )


CONTENDER = Contender(
    name="carry",
    about="pods, Services and ConfigMaps in a virtual cluster against the same on its host; lag, CPU and memory",
    # Rows that were not measured are not shown.
    metrics=tuple({each.name: each for quick in (False, True) for each in metrics(Sizes.of(quick=quick))}.values()),
    opened=opened,
    most_rounds=3,
)
