from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from syncer_worlds import merge
from vcluster_syncer import decide

values = st.recursive(
    st.none() | st.integers(0, 3) | st.text(max_size=2) | st.lists(st.integers(0, 3), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.sampled_from("abc"), values, max_size=3)


def without_emptiness(value: Any) -> Any:
    """As the API server would store it."""
    if not isinstance(value, dict):
        return value
    kept = {name: without_emptiness(inside) for name, inside in value.items()}
    return {name: inside for name, inside in kept.items() if inside is not None and inside not in ({}, [])}


@settings(max_examples=50)
@given(objects, objects)
def test_a_patch_turns_one_into_the_other(current: dict[str, Any], wanted: dict[str, Any]) -> None:
    current = without_emptiness(current)
    patched = merge(current, decide.replacing(current, wanted))
    assert without_emptiness(patched) == without_emptiness(wanted)


@settings(max_examples=50)
@given(objects)
def test_nothing_to_change_is_an_empty_patch(current: dict[str, Any]) -> None:
    assert decide.replacing(current, current) == {}


@settings(max_examples=50)
@given(objects, objects)
def test_fields_of_others_are_left_alone(current: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert set(decide.fields_patch(current, wanted, ("a",))) <= {"a"}


def test_what_is_empty_and_what_is_missing_are_the_same_further_down_too() -> None:
    assert decide.replacing({"x": {"a": 1, "b": []}}, {"x": {"a": 1}}) == {}
