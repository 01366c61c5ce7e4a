"""Virtual clusters on a kind cluster: cold, recycled, their pods against the host alone, and what they weigh.

The one rule: one kind cluster for all turns, made before the first and removed after the last. Upstream's vcluster can
rarely be had beside it, so what was measured of it once stands in rows that say so: for orientation, not for ratios of
a run.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import carry, names, suite
from bench.in_pods import RECORD
from bench.loads import FEW
from bench.model import Contender, Ground, Metric, NotMeasured, Once, Samples
from pytest_vcluster.hosts.kind.naming import CLUSTER_LABEL
from pytest_vcluster.settings import Settings

UPSTREAM: Mapping[str, Sequence[float]] = {
    names.UPSTREAM_COLD: (19.6, 20.8),
    names.UPSTREAM_DNS: (21.0, 22.0),
    names.UPSTREAM_PSS: (450.0,),
    names.UPSTREAM_CREATING: (7.8, 11.0),
    names.UPSTREAM_RUNNING: (16.0, 18.0),
}
"""vcluster 0.30.0 with Kubernetes 1.35.8 and SQLite, images there, on kind v0.33.0 and two cores."""
_NAME = "vcluster-bench"
_COLD, _COLD_QUICK = 3, 1
_NEXT, _NEXT_QUICK = 30, 6
_WARM_UP = 3
_WARM_UP_SECONDS = 10
"""After that long, three times, the pool has made all clusters that it wants, which takes seconds of all processors."""
_SECONDS = 1800.0
_IMAGE, _CONFIGURATION = "PYTEST_VCLUSTER_KIND_IMAGE", "PYTEST_VCLUSTER_KIND_CONFIG"
_TESTS = """\
import time

import pytest

@pytest.mark.parametrize("number", range({count}))
def test_that_leaves_something(vcluster, number):
    metadata = [{{"name": f"left-{{part}}"}} for part in range(10)]
    vcluster.apply([{{"apiVersion": "v1", "kind": "ConfigMap", "metadata": each}} for each in metadata])
    if number < {warm_up}:
        time.sleep({seconds})
"""


@contextmanager
def opened(ground: Ground) -> Iterator[Once]:
    """Every turn goes through cold clusters and pods, then runs pytest, all on one kind cluster."""
    if subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=60).returncode:
        raise NotMeasured("there is no Docker here that answers (`docker info`)")
    settings = _settings(ground)
    cold, count = (_COLD_QUICK, _NEXT_QUICK) if ground.quick else (_COLD, _NEXT)
    tests = suite.project(
        ground, "kind-next", tests=_TESTS.format(count=count + _WARM_UP, warm_up=_WARM_UP, seconds=_WARM_UP_SECONDS)
    )
    turns = iter(range(1000))

    def once() -> Samples:
        made = suite.project(ground, f"kind-{next(turns)}", tests="")
        file = made.directory / "settings.json"
        file.write_text(json.dumps(settings.to_json()), encoding="utf-8")
        with suite.launched(made, "bench.in_pods", str(file), str(made.directory), str(cold), str(FEW)) as process:
            suite.finish(made, process, within=_SECONDS)
        notes = (made.directory / RECORD).read_text(encoding="utf-8").splitlines()
        ran = suite.run(tests, *_options(settings))
        return {
            **carry.samples(json.loads(line) for line in notes),
            names.KIND_NEXT: [1000 * seconds for seconds in ran.fixture_seconds[_WARM_UP:]],
            names.KIND_RETIRED: [float(sum(ran.retired.values()))],
            **UPSTREAM,
        }

    try:
        yield once
    finally:
        _remove()


def _settings(ground: Ground) -> Settings:
    file = os.environ.get(_CONFIGURATION)
    return Settings(
        host="kind",
        reuse=_NAME,
        versions=(ground.version,),
        kind_image=os.environ.get(_IMAGE) or None,
        kind_config=Path(file).absolute() if file else None,
        timeout=180.0,
    )


def _options(settings: Settings) -> Sequence[str]:
    found = ["--vcluster-host=kind", f"--vcluster-reuse={_NAME}", f"--vcluster-timeout={settings.timeout:g}"]
    found += [f"--vcluster-kind-image={settings.kind_image}"] if settings.kind_image else []
    return found + ([f"--vcluster-kind-config={settings.kind_config}"] if settings.kind_config else [])


def _remove() -> None:
    listing = ["docker", "ps", "--all", "--quiet", f"--filter=label={CLUSTER_LABEL}={_NAME}"]
    nodes = subprocess.run(listing, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    if nodes:
        subprocess.run(["docker", "rm", "--force", "--volumes", *nodes], capture_output=True, check=True, timeout=120)


def metrics() -> tuple[Metric, ...]:
    """The rows; upstream's beside those that they are to be compared with."""
    pods, deployment = names.CARRY_PODS.format(count=FEW), names.CARRY_DEPLOYMENT.format(count=FEW)
    rows = [
        Metric(name=names.KIND_COLD, unit="s", base=names.UPSTREAM_COLD),
        Metric(name=names.UPSTREAM_COLD, unit="s"),
        Metric(name=names.KIND_DNS, unit="s", base=names.UPSTREAM_DNS),
        Metric(name=names.UPSTREAM_DNS, unit="s"),
        Metric(name=names.KIND_NEXT, unit="ms"),
        Metric(name=names.KIND_RETIRED, unit=""),
    ]
    for case in (
        names.CREATING.format(case=pods),
        names.RUNNING.format(case=pods),
        names.RUNNING.format(case=deployment),
    ):
        host = names.KIND.format(case=case, side=names.HOST)
        virtual = names.KIND.format(case=case, side=names.VIRTUAL)
        rows += [Metric(name=virtual, unit="s", base=host), Metric(name=host, unit="s")]
    return (
        *rows,
        Metric(name=names.UPSTREAM_CREATING, unit="s"),
        Metric(name=names.UPSTREAM_RUNNING, unit="s"),
        Metric(name=names.KIND_STATUS_LAG.format(count=FEW), unit="ms"),
        Metric(name=names.KIND_WRITTEN, unit="MB"),
        Metric(name=names.KIND_PSS, unit="MB", base=names.UPSTREAM_PSS),
        Metric(name=names.UPSTREAM_PSS, unit="MB"),
    )


CONTENDER = Contender(
    name="kind",
    about="virtual clusters in pods of a kind cluster: cold, recycled, 40 pods, memory; needs Docker",
    metrics=metrics(),
    opened=opened,
    most_rounds=2,
)
