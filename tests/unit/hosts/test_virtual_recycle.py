"""A virtual cluster between its leases: what it asks of the syncer, and what it makes of the answers."""

import asyncio
from types import SimpleNamespace

import pytest

from pytest_vcluster.errors import ApiError, ProvisionError
from pytest_vcluster.hosts import granting, recyclable, virtual
from pytest_vcluster.hosts.recyclable import NotPristine
from pytest_vcluster.hosts.virtual import VirtualCluster

BACK = {
    "pristine": True,
    "reason": "",
    "revision": 40,
    "keys": 7,
    "outdated": False,
    "written": 3,
    "seconds": {"reset": 0.01},
}
RESTORED = {"restless": "", "revived": [], "outdated": False}
BEFORE = {"header": {"revision": "5"}, "kvs": []}


class World:
    """A cluster whose syncer answers what it is told to, and whose etcd holds what it is told to."""

    def __init__(self, patch):
        self.asked = []
        self.answers = {}
        self.changed = (40, [], 7)
        self.restarts = 0
        self.watched = []
        self.kept = []
        for order in ("take_baseline", "recycled", "checkpoint", "restore", "restart", "replaced"):
            patch.setattr(recyclable.syncer, order, self._order(order))
        datastore = SimpleNamespace(
            changed_since=lambda _prefix, _revision: self.changed,
            read_raw=lambda _prefix: BEFORE,
            close=lambda: None,
        )
        patch.setattr(virtual, "Datastore", lambda _socket: datastore)
        patch.setattr(granting.kubeconfig, "render", lambda **_: "")
        patch.setattr(virtual, "resident_bytes", lambda _pid: self.resident)
        self.resident = 220 << 20
        authority = SimpleNamespace(certificate="pem", key="pem")
        settings = SimpleNamespace(name="vc-1", version="v1.36.4", timeout=5.0, etcd_socket="/e", etcd_prefix="/vc-1/")
        plane = SimpleNamespace(
            settings=settings,
            components=[SimpleNamespace(name="vc-1/kube-apiserver", pid=1, log=virtual.Path("/dev/null"))],
            server_authority="pem",
            admin=authority,
            client_authority=authority,
            restart_controller_manager=self._restart,
        )

        async def keep(cluster, about):
            self.kept.append((cluster.name, about))

        async def made():
            return VirtualCluster(
                plane, nodes=(), host={}, directory=virtual.Path("/d"), watch=self.watched.append, keep_baseline=keep
            )

        self.cluster = asyncio.run(made())

    def _order(self, name):
        def given(_connect, cluster, *, timeout, **arguments):
            assert (cluster, timeout) == ("vc-1", 5.0)
            self.asked.append((name, *arguments.values()))
            answer = self.answers.get(name, {})
            if isinstance(answer, Exception):
                raise answer
            return answer

        return given

    async def _restart(self):
        self.restarts += 1
        return SimpleNamespace(pid=4711)


@pytest.fixture
def world(monkeypatch):
    made = World(monkeypatch)
    made.answers = {"take_baseline": BACK, "recycled": BACK, "restore": RESTORED, "checkpoint": {"checkpoint": "a1"}}
    return made


def test_it_is_recycled_and_handed_out_as_it_was_verified(world):
    asyncio.run(world.cluster.take_baseline())
    assert asyncio.run(world.cluster.recycle()) == ""
    assert world.asked == [("take_baseline",), ("recycled", None)]
    assert world.cluster.facts("https://gate")["revision"] == 40


@pytest.mark.parametrize(
    ("changed", "named"),
    [((41, [b"configmaps/default/a"], 7), "configmaps/default/a"), ((41, [], 6), "some are gone")],
    ids=["written", "deleted"],
)
def test_it_is_not_handed_out_if_somebody_wrote_since(world, changed, named):
    asyncio.run(world.cluster.take_baseline())
    world.changed = changed
    with pytest.raises(NotPristine, match=f"vc-1 was written to after it was verified: {named}"):
        world.cluster.facts("https://gate")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({**BACK, "pristine": False, "reason": "it keeps changing"}, "it keeps changing"),
        (ApiError("no tenant 'vc-1'", status=404, method="POST", path="/x"), "the recycler failed: 404 : no tenant"),
        (ConnectionRefusedError("nobody there"), "the recycler failed: ConnectionRefusedError: nobody there"),
        (TimeoutError(), "the recycler failed: TimeoutError"),
    ],
)
def test_what_did_not_work_is_a_reason(world, answer, reason):
    asyncio.run(world.cluster.take_baseline())
    world.answers["recycled"] = answer
    assert asyncio.run(world.cluster.recycle()).startswith(reason)
    assert asyncio.run(world.cluster.recycle()) == "its baseline was never taken", "it is not tried twice"


def test_a_cluster_that_was_used_before_it_had_nodes_goes_back_to_what_was_read_before(world):
    world.cluster.facts("https://gate")
    world.cluster.on_host.set()
    assert asyncio.run(world.cluster.recycle()) == ""
    assert world.asked == [("recycled", BEFORE)]
    assert asyncio.run(world.cluster.recycle()) == ""
    assert world.asked[1:] == [("recycled", None)]


def test_it_waits_for_its_nodes_first(world):
    async def main():
        world.cluster.facts("https://gate")
        recycling = asyncio.create_task(world.cluster.recycle())
        await asyncio.sleep(0)
        assert world.asked == []
        world.cluster.on_host.set()
        assert await recycling == ""

    asyncio.run(main())


def test_it_does_not_wait_for_nodes_that_will_never_come(world):
    async def main():
        world.cluster.facts("https://gate")
        recycling = asyncio.create_task(world.cluster.recycle())
        await asyncio.sleep(0)
        world.cluster.died.set()
        async with asyncio.timeout(5):
            assert await recycling == "one of its processes died"

    asyncio.run(main())
    assert world.asked == []


def test_after_many_leases_it_is_replaced(world, monkeypatch):
    monkeypatch.setattr(recyclable, "MOST_LEASES", 3)
    asyncio.run(world.cluster.take_baseline())
    reasons = [asyncio.run(world.cluster.recycle()) for _ in range(3)]
    assert reasons == ["", "", "it has served 3 leases"]


def test_an_api_server_that_has_grown_is_replaced(world):
    asyncio.run(world.cluster.take_baseline())
    world.resident = 601 << 20
    assert asyncio.run(world.cluster.recycle()) == "its API server has grown to 601 MB"


def test_what_a_test_laid_is_taken_and_kept_for_others(world):
    assert asyncio.run(world.cluster.settle(about="crd/a.yaml")) == 40
    assert world.cluster.laid
    assert world.kept == [("vc-1", "crd/a.yaml")]


def test_what_does_not_come_to_rest_is_told_and_not_kept(world):
    world.answers["take_baseline"] = ApiError("it never came to rest", status=409, method="POST", path="/x")
    with pytest.raises(ProvisionError, match=r"^No baseline could be taken: 409 : it never came to rest"):
        asyncio.run(world.cluster.settle(about=""))
    assert (world.cluster.laid, world.kept) == (False, [])


def test_a_controller_manager_that_knows_definitions_that_are_gone_is_replaced(world):
    asyncio.run(world.cluster.take_baseline())
    world.answers["recycled"] = {**BACK, "outdated": True}
    world.answers["replaced"] = {**BACK, "revision": 55}
    assert asyncio.run(world.cluster.recycle()) == ""
    assert world.asked[1:] == [("recycled", None), ("replaced", [4711])]
    assert [component.pid for component in world.watched] == [4711]
    world.changed = (55, [], 7)
    assert world.cluster.facts("https://gate")["revision"] == 55


def test_one_whose_new_controller_manager_does_not_work_is_not_pristine(world):
    asyncio.run(world.cluster.take_baseline())
    world.answers["recycled"] = {**BACK, "outdated": True}
    world.answers["replaced"] = {**BACK, "pristine": False, "reason": "its new controller manager does not work"}
    assert asyncio.run(world.cluster.recycle()) == "its new controller manager does not work"


def test_it_is_replaced_too_where_a_checkpoint_put_definitions_away(world):
    world.answers["restore"] = {**RESTORED, "outdated": True}
    asyncio.run(world.cluster.restore("a1"))
    assert world.asked == [("restore", "a1"), ("restart", [4711])]


def test_a_checkpoint_is_taken_and_restored(world):
    assert asyncio.run(world.cluster.checkpoint()) == "a1"
    world.answers["restore"] = {**RESTORED, "restless": "configmaps/default/a"}
    assert asyncio.run(world.cluster.restore("a1")) == "configmaps/default/a"
    assert world.asked == [("checkpoint",), ("restore", "a1")]
    assert world.restarts == 0


def test_who_saw_the_end_of_what_is_there_again_starts_anew(world):
    world.answers["restore"] = {**RESTORED, "revived": ["pods/default/a"]}
    asyncio.run(world.cluster.restore("a1"))
    assert world.restarts == 1
    assert world.asked == [("restore", "a1"), ("restart", [4711])]
    assert [process.pid for process in world.watched] == [4711]


@pytest.mark.parametrize(("call", "words"), [("checkpoint", "No checkpoint could be taken"), ("restore", "restored")])
def test_a_syncer_that_fails_is_told(world, call, words):
    world.answers[call] = ApiError("tenant 'vc-1' has no checkpoint 'a1'", status=404)
    step = world.cluster.checkpoint() if call == "checkpoint" else world.cluster.restore("a1")
    with pytest.raises(ProvisionError, match=f"{words}: .*has no checkpoint 'a1'"):
        asyncio.run(step)
