"""The way back as values: what the plan says, done on a model of the store, leads to the baseline and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recycle_parts import Store
from vcluster_syncer.recycle.stored import (
    FOLLOWERS,
    PLURALS,
    Baseline,
    Listing,
    Plan,
    Stamp,
    assess,
    collection_of,
    collections_of,
    first_part,
    object_of,
    shown,
)

A, B, C = b"configmaps/default/a", b"configmaps/default/b", b"secrets/default/c"
IP, SERVICE = b"ipaddresses/10.0.0.9", b"services/specs/default/web"
KIND, SERVED = b"apiextensions.k8s.io/customresourcedefinitions/x.y.z", b"apiregistration.k8s.io/apiservices/v1.y.z"

keys = st.sampled_from([A, B, C, IP, SERVICE, KIND, SERVED, b"servicecidrs/kubernetes"])
states = st.dictionaries(keys, st.binary(max_size=2))
histories = st.lists(st.tuples(keys, st.one_of(st.none(), st.binary(max_size=2))), max_size=20)
"""Who writes what (None: deletes it), in this order."""
plans = st.builds(
    lambda put, delete, reborn: Plan(
        put=put, delete=tuple(delete - set(put)), reborn=tuple(key for key in put if key in reborn)
    ),
    st.dictionaries(keys, st.integers(0, 9)),
    st.sets(keys),
    st.sets(keys),
)


def planned(baseline, store):
    changed = store.listing(baseline.revision)
    gone = [key for key in baseline.stamps if key not in store.stamps] if baseline.missing(changed) else []
    return assess(baseline, changed, gone=gone)


def go_back(baseline, store):
    """Do what the plan says, and account for it as the recycler does."""
    plan = planned(baseline, store)
    revision = store.commit(put={key: baseline.values[key] for key in plan.put}, delete=plan.delete)
    for key, created in plan.put.items():
        baseline.stamps[key] = Stamp(created or revision, revision)
    return plan


@given(states, histories)
def test_the_plan_leads_from_any_history_to_exactly_the_baseline(state, history):
    store = Store(state)
    baseline = store.baseline()
    store.live(history)
    go_back(baseline, store)
    assert store.values == baseline.values == state


@given(states, st.lists(histories, max_size=4))
def test_stamps_tell_what_was_written_back_so_that_only_what_came_later_is_planned(state, lives):
    store = Store(state)
    baseline = store.baseline()
    for history in lives:
        store.live(history)
        assert set(planned(baseline, store).keys) <= {key for key, _ in history}
        go_back(baseline, store)
        assert baseline.stamps == store.stamps
        assert not planned(baseline, store)
    assert store.values == state


@given(states, histories)
def test_a_key_that_nobody_touched_is_never_in_a_plan(state, history):
    store = Store(state)
    baseline = store.baseline()
    store.live(history)
    plan = planned(baseline, store)
    assert set(plan.keys) <= {key for key, _ in history}
    assert len(plan.keys) == len(set(plan.keys)), "no key twice: etcd would refuse it"


@given(states, histories)
def test_what_was_deleted_at_any_time_is_told_to_be_reborn_and_nothing_else(state, history):
    store = Store(state)
    baseline = store.baseline()
    store.live(history)
    reborn = planned(baseline, store).reborn
    assert sorted(reborn) == sorted({key for key, value in history if value is None and key in state})


@given(states, histories)
def test_how_many_keys_are_missing_is_known_without_reading_the_others(state, history):
    store = Store(state)
    baseline = store.baseline()
    store.live(history)
    assert baseline.missing(store.listing(baseline.revision)) == len(state.keys() - store.values.keys())


def baseline_of(**stamps):
    named = {name.encode(): Stamp(*stamp) for name, stamp in stamps.items()}
    return Baseline(values=dict.fromkeys(named, b"-"), stamps=named, revision=10)


def changed_to(total, **stamps):
    return Listing(revision=20, total=total, stamps={name.encode(): Stamp(*stamp) for name, stamp in stamps.items()})


@pytest.mark.parametrize(
    ("changed", "gone", "plan"),
    [
        (changed_to(2), [], Plan()),
        (changed_to(2, a=(3, 15)), [], Plan(put={b"a": 3})),
        (changed_to(2, a=(14, 15)), [], Plan(put={b"a": 14}, reborn=(b"a",))),
        (changed_to(1), [b"a"], Plan(put={b"a": 0}, reborn=(b"a",))),
        (changed_to(3, new=(12, 13)), [], Plan(delete=(b"new",))),
        (changed_to(2, new=(12, 13)), [b"b"], Plan(put={b"b": 0}, delete=(b"new",), reborn=(b"b",))),
        (changed_to(2, a=(3, 4)), [], Plan()),
    ],
    ids=["nothing", "changed", "made again", "deleted", "added", "deleted and added", "our own write"],
)
def test_what_is_planned(changed, gone, plan):
    assert assess(baseline_of(a=(3, 4), b=(5, 5)), changed, gone=gone) == plan


@pytest.mark.parametrize(
    ("changed", "missing"),
    [
        (changed_to(2), 0),
        (changed_to(1), 1),
        (changed_to(0), 2),
        (changed_to(2, new=(12, 13)), 1),
        (changed_to(2, new=(12, 13), other=(14, 14)), 2),
        (changed_to(2, a=(12, 13)), 0),
    ],
)
def test_missing_keys_are_counted_though_others_were_added(changed, missing):
    assert baseline_of(a=(3, 4), b=(5, 5)).missing(changed) == missing


def test_an_empty_plan_is_false():
    assert not Plan()
    assert Plan(delete=(A,))
    assert Plan(put={A: 0})


@pytest.mark.parametrize(
    ("plan", "first"),
    [
        (Plan(), Plan()),
        (Plan(put={A: 1}, delete=(B,)), Plan(put={A: 1}, delete=(B,))),
        (Plan(delete=(SERVICE, IP)), Plan(delete=(SERVICE,))),
        (Plan(delete=(SERVED, KIND)), Plan(delete=(KIND,))),
        (Plan(put={IP: 0, A: 0}, reborn=(IP, A)), Plan(put={A: 0}, reborn=(A,))),
        (Plan(put={SERVED: 3}, delete=(IP,)), Plan(put={SERVED: 3}, delete=(IP,))),
    ],
    ids=["nothing", "no follower", "address", "served group", "put", "only followers"],
)
def test_followers_wait_until_nothing_else_is_left(plan, first):
    assert first_part(plan) == first


@given(plans)
def test_the_first_part_is_a_part_that_goes_on_and_never_mixes_followers_with_others(plan):
    first = first_part(plan)
    assert bool(first) == bool(plan)
    assert first.put.items() <= plan.put.items()
    assert set(first.delete) <= set(plan.delete)
    assert set(first.reborn) == set(plan.reborn) & set(first.put)
    assert len({key.startswith(FOLLOWERS) for key in first.keys}) <= 1
    if not all(key.startswith(FOLLOWERS) for key in plan.keys):
        assert not any(key.startswith(FOLLOWERS) for key in first.keys)


@given(states, histories)
def test_done_in_parts_it_ends_at_the_baseline_too_and_each_part_once(state, history):
    store = Store(state)
    baseline = store.baseline()
    store.live(history)
    for expected in (True, True, False):
        part = first_part(planned(baseline, store))
        if not part:
            break
        assert expected, "others, then followers, then nothing"
        revision = store.commit(put={key: baseline.values[key] for key in part.put}, delete=part.delete)
        for key, created in part.put.items():
            baseline.stamps[key] = Stamp(created or revision, revision)
    assert store.values == state


def test_what_the_api_server_would_not_notice_is_told():
    plan = Plan(put={b"servicecidrs/kubernetes": 3, A: 1}, delete=(b"servicecidrs/more", B))
    assert plan.irreversible == (b"servicecidrs/kubernetes", b"servicecidrs/more")
    assert Plan(put={A: 1}, delete=(SERVICE,)).irreversible == ()


@pytest.mark.parametrize(
    ("key", "collection", "found"),
    [
        (b"configmaps/default/a", "configmaps", ("configmaps", "default", "a")),
        (b"namespaces/default", "namespaces", ("namespaces", "", "default")),
        (b"minions/node-1", "minions", ("nodes", "", "node-1")),
        (b"controllers/default/rc", "controllers", ("replicationcontrollers", "default", "rc")),
        (b"ingress/default/web", "ingress", ("ingresses", "default", "web")),
        (b"services/specs/default/web", "services/specs", ("services", "default", "web")),
        (b"services/endpoints/default/web", "services/endpoints", ("endpoints", "default", "web")),
        (b"ranges/serviceips", "ranges", ("ranges", "", "serviceips")),
        (b"events/default/web.17", "events", ("events", "default", "web.17")),
        (b"clusterroles/system:node", "clusterroles", ("clusterroles", "", "system:node")),
        (
            b"apiextensions.k8s.io/customresourcedefinitions/widgets.example.com",
            "apiextensions.k8s.io/customresourcedefinitions",
            ("apiextensions.k8s.io/customresourcedefinitions", "", "widgets.example.com"),
        ),
        (b"example.com/widgets/default/a", "example.com/widgets", ("example.com/widgets", "default", "a")),
        (b"example.com/shelves/a", "example.com/shelves", ("example.com/shelves", "", "a")),
    ],
)
def test_a_key_tells_its_collection_and_its_object(key, collection, found):
    assert collection_of(key) == collection
    assert object_of(key) == found


@given(
    st.sampled_from(sorted(PLURALS)),
    st.sampled_from(["", "ns", "kube-system"]),
    st.text(alphabet="ab.:-", min_size=1, max_size=9),
)
def test_every_object_is_told_by_the_plural_that_people_know(stored, namespace, name):
    key = "/".join(part for part in (stored, namespace, name) if part).encode()
    assert object_of(key) == (PLURALS[stored], namespace, name)


def test_collections_are_named_once():
    assert collections_of([A, B, SERVICE]) == {"configmaps", "services/specs"}
    assert collections_of([]) == frozenset()


@pytest.mark.parametrize(
    ("names", "most", "text"),
    [
        ([], 5, ""),
        ([b"a"], 5, "a"),
        ([b"a", b"b", b"c"], 3, "a, b, c"),
        ([b"a", b"b", b"c"], 2, "a, b and 1 more"),
        ([b"a", b"b", b"c", b"d"], 1, "a and 3 more"),
        ([b"\xff/a"], 5, "\ufffd/a"),
    ],
)
def test_keys_are_shown_to_people_but_never_too_many(names, most, text):
    assert shown(iter(names), most=most) == text
