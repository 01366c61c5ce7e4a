import pytest
from hypothesis import given
from hypothesis import strategies as st
from vcluster_syncer.engine.line import Line


def line(*keys):
    """A line in which lower-case letters stand back."""
    made = Line(str.islower)
    for key in keys:
        made.add(key)
    return made


def taken(made):
    return "".join(made.take() for _ in range(len(made)))


def test_first_come_first_served():
    assert taken(line(*"CAB")) == "CAB"


def test_those_who_can_wait_stand_back():
    assert taken(line(*"aBcD")) == "BDac"


def test_a_key_is_in_line_once_and_keeps_its_place():
    made = line(*"ABcAcB")
    assert (len(made), list(made)) == (3, ["A", "B", "c"])
    assert "c" in made
    assert taken(made) == "ABc"
    assert "c" not in made
    assert not made


def test_nobody_waits_for_ever():
    made = line("a", *map(chr, range(ord("A"), ord("Z") + 1)))
    before = 0
    while made.take() != "a":
        before += 1
        made.add(f"X{before}")  # there is always somebody in front
    assert before < 16


def test_everybody_can_be_sent_away():
    made = line(*"aB")
    made.clear()
    assert len(made) == 0
    with pytest.raises(StopIteration):
        made.take()


@given(st.lists(st.text("abcABC", min_size=1, max_size=3)))
def test_nobody_is_lost_or_served_twice(keys):
    made = line(*keys)
    assert sorted(made.take() for _ in range(len(made))) == sorted(set(keys))
    assert not made
