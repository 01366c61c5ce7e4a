from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pytest_vcluster.service.plan import Key, Prepare, RetireReady, StartHost, State, next_step
from pytest_vcluster.settings import DEFAULT_NODES, NodeShape

ONE = Key("v1.36.4", DEFAULT_NODES)
OTHER = Key("v1.37.1", DEFAULT_NODES)
SPECIAL = Key("v1.36.4", (NodeShape(name="gpu"),))
KEYS = (ONE, OTHER, SPECIAL)

IDLE = State(
    waiting=(),
    ready={},
    preparing={},
    in_use=0,
    capacity=4,
    starting=0,
    starts_at_once=1,
    host_started=True,
    any_started=True,
    spares=(),
    still_expected={},
)

counts = st.dictionaries(st.sampled_from(KEYS), st.integers(0, 3))
states = st.builds(
    State,
    waiting=st.lists(st.sampled_from(KEYS), max_size=6),
    ready=counts,
    preparing=counts,
    in_use=st.integers(0, 5),
    capacity=st.integers(1, 8),
    starting=st.integers(0, 3),
    starts_at_once=st.integers(1, 3),
    host_started=st.booleans(),
    any_started=st.booleans(),
    spares=st.lists(st.sampled_from(KEYS), unique=True),
    still_expected=st.dictionaries(st.sampled_from(["v1.36.4", "v1.37.1"]), st.integers(-2, 9)),
)


def test_the_first_test_comes_before_the_host():
    fresh = replace(IDLE, host_started=False, any_started=False, waiting=(ONE, ONE))
    assert next_step(fresh) == Prepare(ONE)


def test_the_host_comes_before_everything_else():
    assert next_step(replace(IDLE, host_started=False, waiting=(ONE,))) == StartHost()


def test_waiting_tests_come_before_spares_in_the_order_they_came():
    state = replace(IDLE, waiting=(OTHER, ONE), spares=(ONE,), still_expected={"v1.36.4": 9})
    assert next_step(state) == Prepare(OTHER)
    assert next_step(replace(state, preparing={OTHER: 1})) == Prepare(ONE)


def test_an_idle_cluster_gives_way_to_one_that_is_waited_for():
    state = replace(IDLE, capacity=1, ready={ONE: 1}, waiting=(OTHER,))
    assert next_step(state) == RetireReady(ONE)


def test_spares_are_spread_over_the_versions():
    state = replace(IDLE, spares=(ONE, OTHER), still_expected={"v1.36.4": 9, "v1.37.1": 9}, ready={ONE: 1})
    assert next_step(state) == Prepare(OTHER)


def test_nothing_is_prepared_when_nothing_more_is_expected():
    state = replace(IDLE, spares=(ONE,), still_expected={"v1.36.4": 1}, ready={ONE: 1})
    assert next_step(state) is None


@given(states)
def test_it_never_exceeds_the_capacity(state):
    if isinstance(next_step(state), Prepare):
        assert state.in_use + sum(state.ready.values()) + sum(state.preparing.values()) < state.capacity


@given(states)
def test_it_never_starts_more_at_once_than_allowed(state):
    if next_step(state) is not None:
        assert state.starting < state.starts_at_once


@given(states)
def test_it_prepares_only_what_is_waited_for_or_still_expected(state):
    step = next_step(state)
    if isinstance(step, Prepare) and Counter(state.waiting)[step.key] <= state.preparing.get(step.key, 0):
        there = state.ready.get(step.key, 0) + state.preparing.get(step.key, 0)
        assert step.key in state.spares
        assert there < state.still_expected[step.key.version]


@given(states)
def test_it_never_takes_away_what_a_test_waits_for(state):
    step = next_step(state)
    if isinstance(step, RetireReady):
        assert step.key not in state.waiting
        assert state.ready[step.key] > 0


@given(st.lists(st.sampled_from(KEYS), min_size=1, max_size=8), st.integers(1, 4), st.integers(1, 3))
def test_every_waiting_test_is_served_in_the_end(waiting, capacity, starts_at_once):
    """Play the pool: what is prepared becomes ready and is taken; released clusters go."""
    state = replace(
        IDLE,
        waiting=tuple(waiting),
        capacity=capacity,
        starts_at_once=starts_at_once,
        host_started=False,
        any_started=False,
    )
    for _ in range(200):
        if not state.waiting:
            return
        step = next_step(state)
        if isinstance(step, StartHost):
            state = replace(state, host_started=True)
        elif isinstance(step, RetireReady):
            state = replace(state, ready=Counter(state.ready) - Counter([step.key]))
        elif isinstance(step, Prepare):
            state = replace(
                state,
                preparing=Counter(state.preparing) + Counter([step.key]),
                starting=state.starting + 1,
                any_started=True,
            )
        else:  # nothing to do but to wait: a preparation ends, or a test does
            done = next((key for key, count in state.preparing.items() if count), None)
            if done is not None:
                left = list(state.waiting)
                left.remove(done)
                state = replace(
                    state,
                    preparing=Counter(state.preparing) - Counter([done]),
                    starting=state.starting - 1,
                    waiting=tuple(left),
                    in_use=state.in_use + 1,
                )
            else:
                assert state.in_use, "stuck"
                state = replace(state, in_use=state.in_use - 1)
    raise AssertionError(f"starved: {state.waiting}")
