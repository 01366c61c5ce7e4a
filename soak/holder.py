"""One lease: compared, soaked, given back.

The one rule: the cluster is compared before anything else is done to it, and by eyes that see all of its API.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from pytest_vcluster.cluster.rest import Rest
from pytest_vcluster.comparison import ApiState, differences, read
from pytest_vcluster.comparison.reading import all_schemas
from pytest_vcluster.controlplane.http import Unreachable
from pytest_vcluster.errors import VClusterError
from pytest_vcluster.service.client import Lease
from soak import liveness, probes
from soak.access import Access, ServiceRange
from soak.executor import Answers, Executor
from soak.model import Scenario

_REQUEST_SECONDS = 20.0
_STEP_SECONDS = 4.0
_SECOND_LOOK_SECONDS = 1.0
_REST_SECONDS = 3.0
_MOST_LOOKS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a fresh cluster is like."""

    lease: Lease
    state: ApiState
    answers: probes.Answers

    @classmethod
    def of(cls, lease: Lease) -> Reference:
        """Read a fresh cluster once it has come to rest; nobody may change it as long as the reference is used."""
        access = Access(lease.grant, timeout=_REQUEST_SECONDS)
        try:
            rest = access.open()
            state = read(rest, with_schema=all_schemas)
            for _ in range(_MOST_LOOKS):
                time.sleep(_REST_SECONDS)
                before, state = state, read(rest, with_schema=all_schemas)
                if not differences(before, state):
                    break
            return cls(lease=lease, state=state, answers=probes.ask(rest))
        finally:
            access.close()

    def differences(self, rest: Rest) -> list[str]:
        """What is not in a cluster as it is in a fresh one."""
        state = read(rest, with_schema=self.state.has_other_schema)
        return differences(self.state, state) + probes.differences(self.answers, probes.ask(rest))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of a lease."""

    differences: tuple[str, ...] = ()
    lasting: bool = True
    error: str = ""
    deaths: tuple[str, ...] = ()
    answers: Answers


def hold(lease: Lease, reference: Reference, scenario: Scenario) -> Seen:
    """Compare, soak and release; whatever goes wrong is told in what is returned."""
    access = Access(lease.grant, timeout=_REQUEST_SECONDS)
    found: list[str] = []
    lasting, error = True, ""
    service_range: ServiceRange | None = None
    try:
        rest = access.open()
        # Asked for with patience: on a machine under load the executor would take a slow answer for a broken cluster.
        service_range = ServiceRange.of(rest)
        found = reference.differences(rest)
        if found:
            time.sleep(_SECOND_LOOK_SECONDS)
            lasting = reference.differences(rest) == found
        if scenario.lively:
            found += liveness.check(rest, scenario.seed)
    except (VClusterError, Unreachable) as raised:
        error = f"can't be compared: {raised}"
    finally:
        access.close()
    executor: Executor | None = None
    try:
        if service_range is not None:
            executor = Executor(Access(lease.grant, timeout=_STEP_SECONDS), service_range)
            executor.perform(scenario)
    except (VClusterError, Unreachable) as raised:
        error = error or f"can't be soaked: {raised}"
    finally:
        deaths = tuple(f"{death.component} {death.status}" for death in lease.deaths())
        lease.release()
        if executor is not None:
            executor.end()
    return Seen(
        differences=tuple(found),
        lasting=lasting,
        error=error,
        deaths=deaths,
        answers=executor.answers if executor is not None else Answers(),
    )
