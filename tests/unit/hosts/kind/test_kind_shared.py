"""Kind clusters that are reused by name, over a fake Docker."""

import asyncio
import os

import pytest
from fake_kind import container

from pytest_vcluster.errors import HostError, SettingsError, Timeout
from pytest_vcluster.hosts.kind import claims
from pytest_vcluster.hosts.kind.naming import SHARED_MARK
from pytest_vcluster.settings import Settings

TEAM = Settings(host="kind", reuse="team", timeout=1)


def lock(machine):
    return machine.folder / "cache" / "pytest-vcluster" / "kind" / "team.lock"


async def use(machine, settings=TEAM):
    async with machine.running(settings, run=os.urandom(4).hex()) as host:
        return host


def made(machine):
    return len(machine.calls("kind create"))


def test_it_is_made_once_shared_and_left_behind(machine):
    async def main():
        return await asyncio.gather(use(machine), use(machine))

    one, two = asyncio.run(main())
    assert machine.containers == ["team-control-plane"]
    assert made(machine) == 1
    assert one.name == two.name == "team"
    assert one.shared
    assert one.kubeconfig != two.kubeconfig
    for host in (one, two):
        assert "kind-team" in host.kubeconfig.read_text()
        assert host.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert "waiting for another run's creation of the kind cluster team" in machine.said
    later = asyncio.run(use(machine))
    assert (made(machine), later.context) == (1, "kind-team")
    assert machine.carry_out() == [""]  # void: it is complete
    assert machine.containers == ["team-control-plane"]


def test_a_cluster_that_is_not_ours_is_left_alone_and_the_error_says_how_to_go_on(machine):
    machine.state(containers=[container("team", "control-plane"), container("team", "worker", mounts=[SHARED_MARK])])
    with pytest.raises(HostError, match="pytest-vcluster did not make") as caught:
        asyncio.run(use(machine))
    assert "team-control-plane, team-worker" in str(caught.value)
    assert "delete cluster --name team" in str(caught.value)
    assert len(machine.containers) == 2


def test_not_even_an_unfinished_creation_of_ours_makes_it_ours(machine):
    """Its owner may have made it after somebody had removed what was left of ours."""
    machine.state(containers=[container("team", "control-plane")])
    lock(machine).parent.mkdir(parents=True)
    lock(machine).write_text("a creation that was never finished")
    with pytest.raises(HostError, match="did not make"):
        asyncio.run(use(machine))
    assert machine.containers == ["team-control-plane"]


def test_what_a_run_that_died_has_left_unfinished_is_made_anew(machine):
    machine.state(
        containers=[
            container("team", "control-plane", mounts=[SHARED_MARK]),
            container("team", "external-load-balancer"),
        ]
    )
    lock(machine).parent.mkdir(parents=True)
    lock(machine).write_text("its claim")
    asyncio.run(use(machine))
    assert machine.containers == ["team-control-plane"]
    assert made(machine) == 1
    assert lock(machine).read_text() == ""


def test_the_will_of_a_run_that_died_while_making_it_removes_it(machine):
    machine.wish("create-hangs")

    async def main():
        task = asyncio.create_task(use(machine))
        while not machine.containers:
            await asyncio.sleep(0.02)
        [will] = machine.wills
        assert lock(machine).read_text() == will.claim[1] != ""
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return will

    will = asyncio.run(main())
    assert machine.containers == []
    # Had it been killed, its claim would still be there, and so would the nodes.
    machine.unwish("create-hangs")
    machine.state(containers=[container("team", "control-plane", mounts=[SHARED_MARK]), container("team", "worker")])
    lock(machine).write_text(will.claim[1])
    assert machine.carry_out() == [""]
    assert machine.containers == ["team-worker"]  # what bears no mark of ours is none of its business
    assert lock(machine).read_text() == ""


def test_a_creation_that_fails_leaves_nothing(machine):
    machine.wish("create-fails", "ERROR: no")
    with pytest.raises(HostError, match="ERROR: no"):
        asyncio.run(use(machine))
    assert machine.containers == []
    assert lock(machine).read_text() == ""
    machine.unwish("create-fails")
    assert asyncio.run(use(machine)).name == "team"


def test_somebody_elses_unfinished_creation_is_waited_for_and_then_told(machine):
    """Others may use the same Docker but not our lock."""
    machine.state(containers=[container("team", "control-plane", mounts=[SHARED_MARK])])
    with pytest.raises(HostError, match="never finished, or goes on elsewhere") as caught:
        asyncio.run(use(machine))
    assert "delete cluster --name team" in str(caught.value)
    assert machine.containers == ["team-control-plane"]
    assert "waiting for somebody else to finish making it" in machine.said[-1]


def test_a_cluster_that_was_stopped_is_started(machine):
    asyncio.run(use(machine))
    [node] = machine.world["containers"]
    node["State"]["Running"] = False
    machine.state(containers=[node])
    assert asyncio.run(use(machine)).nodes[0].running
    assert "kind cluster team: starting it again" in machine.said
    assert made(machine) == 1


def test_another_image_or_configuration_than_it_was_made_from_is_refused(machine, tmp_path):
    file = tmp_path / "kind.yaml"
    file.write_text("nodes: [{role: control-plane}]")
    first = Settings(host="kind", reuse="team", kind_image="kindest/node:v1.36.4", kind_config=file)
    asyncio.run(use(machine, first))
    asyncio.run(use(machine, first))
    asyncio.run(use(machine))  # who asks for none takes what there is
    other = Settings(host="kind", reuse="team", kind_image="kindest/node:v1.35.8")
    with pytest.raises(HostError, match="--vcluster-kind-image .kindest/node:v1.36.4 instead of kindest/node:v1.35.8"):
        asyncio.run(use(machine, other))
    file.write_text("nodes: [{role: control-plane}, {role: worker}]")
    with pytest.raises(HostError, match="another --vcluster-kind-config"):
        asyncio.run(use(machine, first))
    assert made(machine) == 1


def test_a_name_of_a_runs_cluster_is_refused_before_anything_is_asked(machine):
    with pytest.raises(SettingsError, match="Choose another"):
        asyncio.run(use(machine, Settings(host="kind", reuse="pytest-vcluster-1a2b3c4d")))
    assert machine.calls() == []


def test_a_lock_that_is_held_too_long_is_told(tmp_path):
    said = []

    async def main():
        path = tmp_path / "x.lock"
        async with claims.held(path, what="work", progress=said.append, seconds=1):
            with pytest.raises(Timeout, match=r"Another run's work.*\n.*x.lock is held"):
                async with claims.held(path, what="work", progress=said.append, seconds=0):
                    raise AssertionError

    asyncio.run(main())
    assert said == []
