"""What one more virtual cluster weighs: everything a run started, at one, two, three and four clusters.

The one rule: the slope counts. Whatever grows with the number of clusters is in it, its own processes as well as its
share of the syncer, of the host's API server and of etcd; whatever does not is in the weight of a run with one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench import names, processes, suite
from bench.model import Contender, Ground, Metric, NotMeasured, Once, Samples

# Opens one cluster after the other, each when it is told that those before have been weighed.
_HOLD = """\
import contextlib
import pathlib
import time

def test_holds_clusters(vcluster_factory):
    with contextlib.ExitStack() as stack:
        for number in range(1, {count} + 1):
            stack.enter_context(vcluster_factory())
            pathlib.Path(f"held-{{number}}").touch()
            deadline = time.monotonic() + 120
            while not pathlib.Path(f"weighed-{{number}}").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
"""
_COUNT, _COUNT_QUICK = 4, 2
_HELD_SECONDS = 90.0
_QUIET_SECONDS = 4.0
_SETTLE_SECONDS = 30.0
_APISERVER = "kube-apiserver"
_PARTS: Mapping[str, str] = {
    _APISERVER: "kube-apiserver",
    "kube-controller-manager": "kube-controller-manager",
    "vcluster_syncer": "syncer",
    "etcd": "etcd",
}
_OTHERS = "all else"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A run's weight: all its processes but pytest itself."""

    clusters: int
    pss_mb: float
    private_mb: float
    """Pages that nobody else maps, written to or not."""
    parts: Mapping[str, float] = field(default_factory=dict)
    """Private pages that were written to, by part.

    What was not written to is program text. It is private or shared by whether some other run on the machine maps the
    same file at the moment; a further cluster shares all of it with the clusters before.
    """

    @property
    def written_mb(self) -> float:
        """All parts together."""
        return sum(self.parts.values())


@contextmanager
def opened(ground: Ground) -> Iterator[Once]:
    """Every turn is one run that takes one cluster after the other."""
    if not processes.is_supported():
        raise NotMeasured("only Linux tells private memory per process (/proc/*/smaps_rollup)")
    count = _COUNT_QUICK if ground.quick else _COUNT
    turns = iter(range(1000))

    def once() -> Samples:
        return samples(_weigh_all(ground, f"memory-{next(turns)}", count))

    yield once


CONTENDER = Contender(
    name="memory",
    about="private and proportional memory of a whole run at 1 to 4 clusters",
    metrics=(
        Metric(name=names.PRIVATE_SLOPE, unit="MB"),
        *(
            Metric(name=names.PRIVATE_OF.format(part=part), unit="MB", base=names.PRIVATE_SLOPE)
            for part in (*_PARTS.values(), _OTHERS)
        ),
        Metric(name=names.PSS_SLOPE, unit="MB"),
        Metric(name=names.PRIVATE_FIRST, unit="MB"),
        Metric(name=names.PSS_FIRST, unit="MB"),
    ),
    opened=opened,
    most_rounds=2,  # a minute long, and hardly any spread
)


def samples(weights: Sequence[Weighed]) -> Samples:
    """The slopes over the number of clusters, and the weights with the fewest."""
    first = min(weights, key=lambda weighed: weighed.clusters)
    counts = [weighed.clusters for weighed in weights]
    found = {
        names.PRIVATE_SLOPE: [slope(counts, [weighed.written_mb for weighed in weights])],
        names.PSS_SLOPE: [slope(counts, [weighed.pss_mb for weighed in weights])],
        names.PRIVATE_FIRST: [first.private_mb],
        names.PSS_FIRST: [first.pss_mb],
    }
    for part in (*_PARTS.values(), _OTHERS):
        found[names.PRIVATE_OF.format(part=part)] = [
            slope(counts, [weighed.parts.get(part, 0.0) for weighed in weights])
        ]
    return found


def slope(counts: Sequence[int], values: Sequence[float]) -> float:
    """The slope of the straight line through the points that misses them least; NotMeasured without two counts."""
    if len(set(counts)) < 2:
        raise NotMeasured(f"no two runs had a different number of clusters ({sorted(set(counts))})")
    middle, level = sum(counts) / len(counts), sum(values) / len(values)
    rise = sum((count - middle) * (value - level) for count, value in zip(counts, values, strict=True))
    return rise / sum((count - middle) ** 2 for count in counts)


def _weigh_all(ground: Ground, name: str, count: int) -> list[Weighed]:
    made = suite.project(ground, name, tests=_HOLD.format(count=count))
    weights = []
    with suite.started(made, f"--vcluster-pool={count}") as process:
        for number in range(1, count + 1):
            suite.await_file(made, process, f"held-{number}", within=_HELD_SECONDS)
            weighed = _settled(made, pytest_pid=process.pid)
            weights.append(weighed)
            ground.progress(
                f"{weighed.clusters} clusters: {weighed.private_mb:.0f} MB private, {weighed.written_mb:.0f} MB of it "
                f"written to; {weighed.pss_mb:.0f} MB PSS"
            )
            (made.directory / f"weighed-{number}").touch()
        suite.finish(made, process)
    return weights


def _settled(made: suite.Project, *, pytest_pid: int) -> Weighed:
    """Weigh again and again until two weighings some seconds apart differ by less than one per cent."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    before = _now(made, pytest_pid)
    while True:
        time.sleep(_QUIET_SECONDS)
        weighed = _now(made, pytest_pid)
        quiet = abs(weighed.written_mb - before.written_mb) < 0.01 * weighed.written_mb
        if time.monotonic() > deadline or (quiet and weighed.clusters == before.clusters):
            return weighed
        before = weighed


def _now(made: suite.Project, pytest_pid: int) -> Weighed:
    written: dict[str, float] = {}
    pss, private, servers = 0.0, 0.0, 0
    for process in processes.of_run(made.temporary):
        weight = None if process.pid == pytest_pid else processes.weight(process.pid)
        if weight is None:
            continue
        servers += process.name == _APISERVER
        pss += weight.pss_mb
        private += weight.private_mb
        part = _PARTS.get(process.name, _OTHERS)
        written[part] = written.get(part, 0.0) + weight.written_mb
    # One of the API servers is the host's.
    return Weighed(clusters=servers - 1, pss_mb=pss, private_mb=private, parts=written)
