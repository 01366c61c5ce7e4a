"""What this project aims at, set beside what was measured.

The one rule: pure, and never a failure. A target that is missed is a line that says so; whether to act on it is for
people, who know what else the machine was doing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench import names
from bench.loads import FEW, MANY
from bench.model import Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A limit on the median of a metric, or on its ratio to another's: an upper one unless `at_least`."""

    text: str
    metric: str
    limit: float
    unit: str
    against: str | None = None
    worst: bool = False
    """Judge the largest figure instead of the median: for what must never happen."""
    percent: float | None = None
    """Judge this percentile instead of the median."""
    at_least: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A target and how it was met."""

    text: str
    aimed: str
    measured: str
    met: bool | None
    """None: not measured."""

    @property
    def word(self) -> str:
        """The verdict as people read it."""
        return {True: "met", False: "NOT MET", None: "not measured"}[self.met]

    def to_json(self) -> dict[str, Any]:
        """The verdict as JSON values."""
        return {"target": self.text, "aimed": self.aimed, "measured": self.measured, "met": self.met}


_DEPLOYMENT = names.CARRY_DEPLOYMENT.format(count=MANY)
TARGETS: tuple[Target, ...] = (
    Target(
        text="first test, against a bare kube-apiserver's start from template",
        metric=names.FIRST_FIXTURE,
        against=names.BARE_TEMPLATE,
        limit=1.3,
        unit="x",
    ),
    Target(text="a cluster from the warm pool", metric=names.NEXT_WARM, limit=20, unit="ms"),
    Target(text="unused plugin: 20 tests without a cluster", metric=names.UNUSED_COST, limit=20, unit="ms"),
    Target(text="unused plugin: processes started", metric=names.UNUSED_PROCESSES, limit=0, unit="", worst=True),
    Target(text="unused plugin: threads started", metric=names.UNUSED_THREADS, limit=0, unit="", worst=True),
    Target(text="private memory per further virtual cluster", metric=names.PRIVATE_SLOPE, limit=200, unit="MB"),
    *(
        Target(text=f"{text}, {word}", metric=metric, limit=limit, unit="ms", percent=percent)
        for text, metric in (
            ("pristine cluster, tests back to back", names.PRISTINE_BACK_TO_BACK),
            ("pristine cluster, tests that work for 200 ms", names.PRISTINE_WITH_WORK),
        )
        for word, percent, limit in (("p50", None, 25), ("p99", 99, 150))
    ),
    *(
        Target(text=f"{text}: envtest's start and stop against it", metric=metric, limit=150, unit="x", at_least=True)
        for text, metric in (
            ("pristine cluster, tests back to back", names.ENVTEST_OVER_BACK_TO_BACK),
            ("pristine cluster, tests that work for 200 ms", names.ENVTEST_OVER_WITH_WORK),
        )
    ),
    Target(
        text="a cluster per test, against one for all: 200 tests of an operator, -n 2",
        metric=names.OPERATOR.format(variant=names.ISOLATED, figure=names.FROM_FIRST_BODY),
        against=names.OPERATOR.format(variant=names.SHARED, figure=names.FROM_FIRST_BODY),
        limit=1.05,
        unit="x",
    ),
    Target(
        text="a Deployment of 500 pods, against the host alone, all ready",
        metric=names.CARRY.format(case=names.RUNNING.format(case=_DEPLOYMENT), side=names.VIRTUAL),
        against=names.CARRY.format(case=names.RUNNING.format(case=_DEPLOYMENT), side=names.HOST),
        limit=1.25,
        unit="x",
    ),
    *(
        Target(
            text=f"creating {case}, against the host alone",
            metric=names.CARRY.format(case=names.CREATING.format(case=case), side=names.VIRTUAL),
            against=names.CARRY.format(case=names.CREATING.format(case=case), side=names.HOST),
            limit=1.3,
            unit="x",
        )
        for case in (names.CARRY_PODS.format(count=FEW), names.CARRY_PODS.format(count=MANY))
    ),
    *(
        Target(
            text=f"{what} in the virtual cluster after the host's, {FEW} pods, {word}",
            metric=row.format(count=FEW),
            limit=limit,
            unit="ms",
            percent=percent,
        )
        for what, row in (
            ("a pod's readiness", names.CARRY_STATUS_LAG),
            ("a change of a pod's status", names.CARRY_CHANGE_LAG),
        )
        # A tenth of what upstream's vcluster 0.30 took, measured once on this sort of machine (p50 70, p99 320 ms), and
        # for the median less.
        for word, percent, limit in (("p50", None, 5), ("p99", 99, 32))
    ),
    Target(text="kind: cold, API server and default ServiceAccount", metric=names.KIND_COLD, limit=4, unit="s"),
    Target(text="kind: cold, DNS answers", metric=names.KIND_DNS, limit=5, unit="s"),
    Target(text="kind: next test, recycled, p50", metric=names.KIND_NEXT, limit=50, unit="ms"),
    Target(text="kind: memory of a virtual cluster", metric=names.KIND_WRITTEN, limit=250, unit="MB"),
    *(
        Target(
            text=f"kind: {case}, against the host alone",
            metric=names.KIND.format(case=names.RUNNING.format(case=case), side=names.VIRTUAL),
            against=names.KIND.format(case=names.RUNNING.format(case=case), side=names.HOST),
            limit=1.1,
            unit="x",
        )
        for case in (names.CARRY_PODS.format(count=FEW), names.CARRY_DEPLOYMENT.format(count=FEW))
    ),
    Target(text="memory of an idle tenant in a shared syncer", metric=names.CARRY_TENANT, limit=5, unit="MB"),
    Target(text="ConfigMaps on the host that nobody uses", metric=names.CARRY_UNUSED, limit=0, unit="", worst=True),
    Target(text="recycle: clusters that did not get back", metric=names.RECYCLE_FAILED, limit=0, unit="", worst=True),
    Target(text="growth of an API server with its leases, RSS", metric=names.GROWTH_RSS, limit=10, unit="%"),
    Target(text="growth of an API server with its leases, private", metric=names.GROWTH_PRIVATE, limit=10, unit="%"),
)


def judge(results: Results, targets: Sequence[Target] = TARGETS) -> list[Verdict]:
    """Set every target beside what was measured."""
    return [_judge(target, results) for target in targets]


def _judge(target: Target, results: Results) -> Verdict:
    value = _value(target, results)
    sign = ">=" if target.at_least else "<="
    met = None if value is None else value >= target.limit if target.at_least else value <= target.limit
    return Verdict(
        text=target.text,
        aimed=f"{sign} {_spell(target.limit, target.unit)}",
        measured="-" if value is None else _spell(value, target.unit),
        met=met,
    )


def _value(target: Target, results: Results) -> float | None:
    if target.against is not None:
        return results.ratio(target.metric, target.against)
    if target.percent is not None:
        return results.percentile(target.metric, target.percent)
    return results.largest(target.metric) if target.worst else results.median(target.metric)


def _spell(value: float, unit: str) -> str:
    if unit == "x":
        return f"{value:.2f} x"
    return f"{value:.1f}".removesuffix(".0") + (f" {unit}" if unit else "")
