"""Last wills, carried out on files in the place of containers."""

import fcntl
import json
import subprocess
import sys
from pathlib import Path

import pytest
from service_fakes import will_about

from pytest_vcluster.controlplane.last_will import LastWill
from pytest_vcluster.service import executor


@pytest.fixture
def things(tmp_path):
    folder = tmp_path / "things"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / name).touch()
    return folder


def carry_out(will, sleep=lambda _: None):
    return executor.carry_out(json.loads(json.dumps(will.to_json())), sleep=sleep)


def left(things):
    return sorted(each.name for each in things.iterdir())


def test_what_is_found_is_removed(things):
    assert carry_out(will_about(things)) == ""
    assert left(things) == []
    assert carry_out(will_about(things)) == ""


def test_what_appears_a_moment_later_is_removed_too(things):
    """A daemon goes on making what it was asked for by somebody who is dead."""
    late = iter(["late"])

    def pause(_):
        for name in late:
            (things / name).touch()

    assert carry_out(will_about(things), sleep=pause) == ""
    assert left(things) == []


def test_a_removal_that_fails_at_first_is_tried_again(things):
    (things / "one").unlink()
    (things / "two").unlink()
    (things / "busy").mkdir()

    def pause(_):
        if (things / "busy").exists():
            (things / "busy").rmdir()

    assert carry_out(will_about(things), sleep=pause) == ""


def test_what_cannot_be_removed_is_told_in_the_words_of_the_program(things):
    (things / "busy").mkdir()
    why = carry_out(will_about(things, seconds=0.1))
    assert "ended with 1" in why
    assert "busy" in why


def test_a_program_that_cannot_tell_what_is_there_is_given_up_early(tmp_path):
    why = carry_out(will_about(tmp_path / "none", answer_seconds=0.1))
    assert "none" in why
    gone = LastWill(find=("/no/such/docker", "ps"), remove=("/no/such/docker", "rm"), answer_seconds=0.1)
    assert "No such file" in carry_out(gone)


def test_a_program_that_hangs_is_given_up(things):
    hangs = LastWill(find=("/bin/sleep", "1000"), remove=("/bin/true",), answer_seconds=0.1)
    assert "timed out" in carry_out(hangs)


def test_the_programs_get_the_environment_of_the_will(things):
    will = LastWill(
        find=("/bin/sh", "-c", 'ls "$WHERE"'),
        remove=("/bin/sh", "-c", 'cd "$WHERE" && rm "$@"', "sh"),
        environment={"WHERE": str(things)},
    )
    assert carry_out(will) == ""
    assert left(things) == []


def test_a_claim_that_still_stands_is_carried_out_and_emptied(things, tmp_path):
    claim = tmp_path / "lock"
    claim.write_text("mine")
    assert carry_out(will_about(things, claim=(claim, "mine"))) == ""
    assert left(things) == []
    assert claim.read_text() == ""


@pytest.mark.parametrize("text", ["", "another's"])
def test_a_claim_that_is_void_or_anothers_touches_nothing(things, tmp_path, text):
    claim = tmp_path / "lock"
    claim.write_text(text)
    assert carry_out(will_about(things, claim=(claim, "mine"))) == ""
    assert carry_out(will_about(things, claim=(tmp_path / "gone", "mine"))) == ""
    assert left(things) == ["one", "two"]
    assert claim.read_text() == text


def test_while_somebody_holds_the_lock_nothing_is_touched(things, tmp_path):
    """He may be the one who makes it anew: then his claim is in the file when we get it."""
    claim = tmp_path / "lock"
    claim.write_text("mine")
    with claim.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "held by somebody else" in carry_out(will_about(things, claim=(claim, "mine"), seconds=0.1))
        assert carry_out(will_about(things, claim=(claim, "mine")), sleep=lambda _: claim.write_text("his")) == ""
    assert left(things) == ["one", "two"]


def test_a_claim_that_could_not_be_carried_out_still_stands(things, tmp_path):
    claim = tmp_path / "lock"
    claim.write_text("mine")
    (things / "busy").mkdir()
    assert carry_out(will_about(things, claim=(claim, "mine"), seconds=0.1))
    assert claim.read_text() == "mine"


def test_it_runs_by_itself_and_its_status_tells_whether_all_was_done(things, tmp_path):
    def run(*wills):
        return subprocess.run(
            [sys.executable, "-I", "-S", executor.__file__],
            input="\n".join(json.dumps(will.to_json()) for will in wills),
            text=True,
            capture_output=True,
            check=False,
        )

    undoable = will_about(tmp_path / "none", answer_seconds=0.1)
    done = run(undoable, will_about(things))
    assert done.returncode == 1
    assert "last will: " in done.stderr
    assert left(things) == []  # what could be done was done
    done = run(will_about(things))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_needs_nothing_of_ours():
    assert "pytest_vcluster" not in Path(executor.__file__).read_text()
