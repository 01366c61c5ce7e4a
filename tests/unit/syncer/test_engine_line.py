import pytest
from hypothesis import given
from hypothesis import strategies as st
from vcluster_syncer.engine.line import Line


def line(*keys):
    """A line in which lower-case letters stand back, and digits go first."""
    made = Line(str.islower, str.isdigit)
    for key in keys:
        made.add(key)
    return made


def taken(made):
    return "".join(made.take() for _ in range(len(made)))


def test_first_come_first_served():
    assert taken(line(*"CAB")) == "CAB"


def test_those_who_can_wait_stand_back():
    assert taken(line(*"aBcD")) == "BDac"


def test_those_who_go_first_do_so_and_the_others_have_their_turn():
    assert taken(line(*"aB1C2")) == "12BCa"
    assert taken(line(*"AB12345678a")) == "123A456B78a"


def test_only_those_who_go_first_may_be_asked_for():
    made = line(*"A1b2")
    assert [made.take(first_only=True) for _ in range(2)] == ["1", "2"]
    assert not made.has_first
    with pytest.raises(StopIteration):
        made.take(first_only=True)
    assert taken(made) == "Ab"


def test_who_may_go_further_ahead_now_does_and_nobody_falls_back():
    first = set()
    made = Line(goes_first=first.__contains__)
    for key in "ABC":
        made.add(key)
    first.add("C")
    made.add("C")
    first.clear()
    made.add("C")
    assert taken(made) == "CAB"


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


@given(st.lists(st.text("abcABC123", min_size=1, max_size=3)))
def test_nobody_is_lost_or_served_twice(keys):
    made = line(*keys)
    assert sorted(made.take() for _ in range(len(made))) == sorted(set(keys))
    assert not made
