"""How many leases a second there can be, and what a cluster that serves many of them comes to weigh.

The one rule: a lease here is the least that a test can do: open it, make one ConfigMap, release it; all by pytest, so
its own share is in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bench import names, processes, suite
from bench.model import Contender, Ground, Metric, NotMeasured, Once, Samples
from bench.timeline import second_half

_WORKERS = (1, 2, 4)
# The first hundred leases of a run are dearer: its API servers are still busy with their start.
_EACH, _EACH_QUICK = 250, 30
_FEW = 10
_MANY, _MANY_QUICK = 1000, 100
_WEIGHINGS = 10
_HELD_SECONDS = 300.0
_APISERVER = "kube-apiserver"
_WHATS = {"RSS": names.GROWTH_RSS, "private": names.GROWTH_PRIVATE}


@contextmanager
def opened(ground: Ground) -> Iterator[Once]:
    """Every turn is a pytest run for each number of workers; the first one weighs a cluster, too."""
    each, many = (_EACH_QUICK, _MANY_QUICK) if ground.quick else (_EACH, _MANY)
    tests = suite.SUITES / "leasing.py"
    projects = {
        workers: suite.project(ground, f"leases-{workers}", tests=tests, environment={suite.COUNT: str(workers * each)})
        for workers in _WORKERS
    }
    to_weigh = [_weighed(ground, many)] if processes.is_supported() else []
    if not to_weigh:
        ground.progress("leases: only Linux tells what a process weighs (/proc/*/smaps_rollup)")

    def once() -> Samples:
        found: dict[str, list[float]] = {}
        for workers, made in projects.items():
            ran = suite.run(made, "-n", str(workers))
            found[names.LEASES.format(count=workers)] = [1 / second_half(ran.over)]
            found[names.LEASES_CLUSTERS.format(count=workers)] = [float(ran.fresh)]
        if to_weigh:
            found |= _weigh(ground, to_weigh.pop(), many)
        return found

    yield once


CONTENDER = Contender(
    name="leases",
    about="leases a second with 1, 2 and 4 workers; what an API server weighs after many of them",
    metrics=(
        *(
            Metric(name=name.format(count=workers), unit=unit)
            for workers in _WORKERS
            for name, unit in ((names.LEASES, "/s"), (names.LEASES_CLUSTERS, ""))
        ),
        Metric(name=names.GROWTH_LEASES, unit=""),
        *(
            Metric(name=name.format(few=_FEW, what=what), unit="MB")
            for what in _WHATS
            for name in (names.GROWTH_FEW, names.GROWTH_MOST)
        ),
        *(Metric(name=name, unit="%") for name in _WHATS.values()),
        Metric(name=names.GROWTH_RETIRED, unit=""),
    ),
    opened=opened,
    most_rounds=2,
)


def weighings(count: int) -> tuple[int, ...]:
    """After which leases the API server is weighed: early, and then at equal distances until the last."""
    later = [count * number // _WEIGHINGS for number in range(1, _WEIGHINGS + 1)]
    return (_FEW, *(number for number in later if number > _FEW))


def samples(weights: Mapping[int, processes.Weight], *, retired: int) -> dict[str, list[float]]:
    """What grew between the first weighing and the heaviest of the others, on whichever cluster it was."""
    first, *others = (weights[number] for number in sorted(weights))
    found = {names.GROWTH_RETIRED: [float(retired)], names.GROWTH_LEASES: [float(max(weights))]}
    for what, growth in _WHATS.items():
        before = _of(first, what)
        most = max(_of(other, what) for other in others)
        found[names.GROWTH_FEW.format(few=_FEW, what=what)] = [before]
        found[names.GROWTH_MOST.format(few=_FEW, what=what)] = [most]
        found[growth] = [100 * (most - before) / before]
    return found


def _of(weight: processes.Weight, what: str) -> float:
    # Of what is private only what was written to: the rest is program text, which other runs may come to share.
    return weight.rss_mb if what == "RSS" else weight.written_mb


def _weighed(ground: Ground, count: int) -> suite.Project:
    environment = {suite.COUNT: str(count), "BENCH_WEIGHED": " ".join(map(str, weighings(count)))}
    return suite.project(ground, "weighed", tests=suite.SUITES / "leasing.py", environment=environment)


def _weigh(ground: Ground, made: suite.Project, count: int) -> dict[str, list[float]]:
    weights = {}
    with suite.started(made, "--vcluster-pool=1") as process:
        for number in weighings(count):
            cluster = suite.await_file(made, process, f"held-{number}", within=_HELD_SECONDS).read_text()
            weights[number] = weight = _weight_of(made, cluster)
            ground.progress(
                f"lease {number} on {cluster}: its API server has {weight.rss_mb:.0f} MB, {weight.written_mb:.0f} MB "
                "of its own"
            )
            (made.directory / f"weighed-{number}").touch()
        suite.finish(made, process)
    retired = suite.retired(made.log.read_text(errors="replace"))
    for reason, times in retired.items():
        ground.progress(f"{times} clusters were retired: {reason}")
    return samples(weights, retired=sum(retired.values()))


def _weight_of(made: suite.Project, cluster: str) -> processes.Weight:
    for process in processes.of_run(made.temporary):
        if process.name == _APISERVER and cluster in process.command:
            weight = processes.weight(process.pid)
            if weight is not None:
                return weight
    raise NotMeasured(f"there is no {_APISERVER} of {cluster}")
