"""What is put back in the `recycle` rows: how big the baseline is, and what a test has left.

The one rule: plain values. One of the two varies at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench import names


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A baseline: so many ConfigMaps and definitions more than a fresh cluster has."""

    config_maps: int = 0
    definitions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row."""

    text: str
    config_maps: int = 0
    pods: int = 0
    """Of one Deployment."""
    definitions: int = 0
    """With three custom resources each."""
    namespaces: int = 0
    """With a Role and a binding each."""
    baseline: Ground = Ground()

    @property
    def metric(self) -> str:
        """The name of the row."""
        return names.RECYCLE.format(case=self.text)

    @property
    def parts(self) -> dict[str, str]:
        """Names of the figures of its steps, by the step."""
        return {step: f"{self.metric}, {step}" for step in STEPS}


REST = "rest"
"""What no step takes: freezing, thawing, asking and answering."""
STEPS = ("reset", "barrier", "drain", "discovery", "quiet", "verify", REST)
_HUNDRED = 100
CASES: tuple[Case, ...] = (
    *(Case(text=f"{count} ConfigMaps", config_maps=count) for count in (10, 100, 1000, 10000)),
    *(Case(text=f"a Deployment of {count} pods", pods=count) for count in (10, 100)),
    Case(text="a definition with 3 custom resources", definitions=1),
    Case(text="a namespace with a Role and a binding", namespaces=1),
    *(
        Case(text=f"100 ConfigMaps, {count} objects more in the baseline", config_maps=_HUNDRED, baseline=baseline)
        for count, baseline in ((count, Ground(config_maps=count)) for count in (1000, 5000))
    ),
    Case(text="100 ConfigMaps, 50 definitions in the baseline", config_maps=_HUNDRED, baseline=Ground(definitions=50)),
)


def steps(total: float, seconds: dict[str, float]) -> dict[str, float]:
    """What each step took, given the whole and what the recycler says; it counts two of them in `freeze` again."""
    known = {step: seconds.get(step, 0.0) for step in STEPS if step != REST}
    return {**known, REST: total - sum(known.values())}
