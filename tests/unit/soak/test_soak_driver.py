"""The driver over leases that are made up."""

from types import SimpleNamespace

import pytest

from pytest_vcluster.errors import ProvisionError
from pytest_vcluster.settings import Settings
from soak import __main__ as command
from soak import driver
from soak.holder import Seen


@pytest.fixture
def world(monkeypatch):
    """Two clusters, handed out in turns; what is seen of a seed."""
    made = SimpleNamespace(opened=[], seen={}, told=[], held=[], ended=0)

    def open_lease(run, settings, request, *, timeout, on_progress):
        if request.holder.endswith("seed 666"):
            raise ProvisionError("none left")
        made.opened.append((request.version, request.isolation))
        cluster = "reference" if request.isolation == "fresh" else f"vc-{len(made.opened) % 2}"
        return SimpleNamespace(grant=SimpleNamespace(cluster=cluster, version=request.version))

    def hold(lease, reference, scenario):
        made.held.append((lease.grant.cluster, scenario.seed, reference))
        return made.seen.get(scenario.seed, Seen(answers={}))

    def shut_down(run, *, timeout):
        made.ended += 1

    monkeypatch.setattr(driver.client, "open_lease", open_lease)
    monkeypatch.setattr(driver.client, "summary", lambda run: {"recycled": 1, "retired": 0})
    monkeypatch.setattr(driver.client, "shut_down", shut_down)
    monkeypatch.setattr(driver.Reference, "of", lambda lease: f"reference of {lease.grant.version}")
    monkeypatch.setattr(driver, "hold", hold)
    return made


def soaked(world, seeds, *, versions=("v1.36.4",), workers=1, most_failures=20):
    soak = driver.Soak(
        Settings(versions=versions), workers=workers, tell=world.told.append, most_failures=most_failures
    )
    soak.run(seeds)
    return soak.figures


def test_every_seed_has_a_lease_of_its_own(world):
    figures = soaked(world, range(120), workers=3)
    assert sorted(seed for _, seed, _ in world.held) == list(range(120))
    assert not figures.failed
    assert sum("leases:" in line for line in world.told) == 2
    assert world.ended == 1


def test_versions_take_turns_and_are_compared_with_their_own_kind(world):
    soaked(world, range(4), versions=("v1.35.8", "v1.36.4"))
    assert world.opened[:2] == [("v1.35.8", "fresh"), ("v1.36.4", "fresh")]
    assert [version for version, _ in world.opened[2:]] == ["v1.35.8", "v1.36.4"] * 2
    assert {reference for _, _, reference in world.held} == {"reference of v1.35.8", "reference of v1.36.4"}


def test_a_difference_is_blamed_on_the_lease_before(world):
    world.seen[4] = Seen(differences=("x: extra",), answers={})
    figures = soaked(world, range(6))
    assert figures.failed
    (told,) = [line for line in world.told if "x: extra" in line]
    assert "had seed 2; to see it again: --replay 2 (all of them: --replay 0,2)" in told


def test_what_a_cluster_was_seen_with_is_told_once(world):
    for seed in (1, 3, 5):
        world.seen[seed] = Seen(differences=("x: extra", *(("y: extra",) if seed == 5 else ())), answers={})
    figures = soaked(world, range(6))
    assert [(lease.differences, lease.known) for lease in figures.leases if lease.seed % 2] == [
        (("x: extra",), 0),
        ((), 1),
        (("y: extra",), 1),
    ]
    assert sum("x: extra" in line for line in world.told) == 1


def test_a_lease_that_can_not_be_had_fails_the_soak(world):
    figures = soaked(world, [12, 666, 14])
    assert [lease.error for lease in figures.leases] == ["", "no lease: none left", ""]
    assert figures.failed


def test_a_soak_gives_up_after_too_many_failures(world):
    world.seen = {seed: Seen(error="bad", answers={}) for seed in range(50)}
    assert len(soaked(world, range(50), most_failures=3).leases) == 3


def test_a_process_that_died_is_told_and_is_no_difference(world):
    world.seen[1] = Seen(deaths=("kube-apiserver was killed",), answers={})
    assert not soaked(world, range(3)).failed
    assert any("kube-apiserver was killed" in line for line in world.told)


@pytest.mark.parametrize(
    ("arguments", "seeds"),
    [
        (["3"], [0, 1, 2]),
        (["2", "--seed", "7"], [7_000_000, 7_000_001]),
        (["--replay", "5,9,5"], [5, 9, 5]),
    ],
)
def test_the_command_line_says_which_seeds(world, capsys, arguments, seeds):
    assert command.main(arguments) == 0
    looks = [-1] * (1 if "--replay" in arguments else 2)
    assert sorted(seed for _, seed, _ in world.held) == sorted([*looks, *seeds])
    assert "no differences" in capsys.readouterr().out


def test_the_command_line_ends_as_the_soak_did(world, capsys):
    world.seen[1] = Seen(differences=("x: extra",), answers={})
    assert command.main(["3", "--workers", "1"]) == 1
    assert command.main(["3", "--versions", "0.1"]) == 2
    assert "0.1" in capsys.readouterr().out
