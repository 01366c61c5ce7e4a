"""Recycling as whoever started the syncer sees it: what can be configured, what can be asked, and the answers."""

import asyncio
import io
import json
import tempfile
from pathlib import Path

import aiohttp
import pytest
from test_syncer_config import tenant
from test_syncer_service import description, kubeconfig
from vcluster_syncer import admin
from vcluster_syncer.carriage import Carriage
from vcluster_syncer.engine.tenants import NoSuchTenant
from vcluster_syncer.fields import ConfigError
from vcluster_syncer.gateway.gateways import Gateways
from vcluster_syncer.kube.errors import Unreachable
from vcluster_syncer.kube.kubeconfig import Server
from vcluster_syncer.recycle.barrier import NotReached
from vcluster_syncer.recycle.etcd import StoreError
from vcluster_syncer.recycle.freeze import NotFrozen
from vcluster_syncer.recycle.recyclers import NoSuchCheckpoint
from vcluster_syncer.recycle.stored import Outcome
from vcluster_syncer.recycle.target import Target
from vcluster_syncer.recycle.way_back import NotPristine
from vcluster_syncer.recycle_options import RecycleConfig, parse_restart, parse_restore

RECYCLE = {"etcd": "/e.sock", "prefix": "/vc/", "freeze": [4712], "rest": [4711, 4712]}


def test_a_tenant_may_say_where_its_state_is():
    assert tenant(recycle=RECYCLE).recycle == RecycleConfig(
        etcd=Path("/e.sock"), prefix="/vc/", freeze=(4712,), rest=(4711, 4712)
    )
    assert tenant(recycle={**RECYCLE, "audit": "/a.log"}).recycle.audit == Path("/a.log")
    assert tenant(recycle={"etcd": "/e", "prefix": "/"}).recycle == RecycleConfig(etcd=Path("/e"), prefix="/")


@pytest.mark.parametrize("changes", [{}, {"recycle": None}])
def test_a_tenant_that_does_not_can_not_be_recycled(changes):
    assert tenant(**changes).recycle is None


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"etcd": None}, "tenant.recycle: etcd must be str, it is None"),
        ({"etcd": ""}, "tenant.recycle: etcd is missing"),
        ({"prefix": ""}, "tenant.recycle: prefix is missing"),
        ({"prefix": "/vc"}, "tenant.recycle: prefix must end with a slash, it is '/vc'"),
        ({"freeze": 4711}, "tenant.recycle: freeze must be list, it is 4711"),
        ({"freeze": ["4711"]}, r"tenant.recycle: freeze must be a list of process ids, it is \['4711'\]"),
        ({"freeze": [True]}, "freeze must be a list of process ids"),
        ({"freeze": [1]}, "freeze must be a list of process ids"),
        ({"freeze": [0]}, "freeze must be a list of process ids"),
        ({"freeze": [-5]}, "freeze must be a list of process ids"),
        ({"rest": [4711, None]}, "rest must be a list of process ids"),
        ({"audit": 5}, "tenant.recycle: audit must be str, it is 5"),
        ({"frezze": []}, "tenant.recycle: unknown frezze; known are prefix, commands, etcd, freeze, rest, audit"),
    ],
)
def test_what_is_wrong_with_it_is_told_by_field(changes, error):
    with pytest.raises(ConfigError, match=error):
        tenant(recycle={**RECYCLE, **changes})


@pytest.mark.parametrize("value", [[], "/e.sock", 5])
def test_it_must_be_an_object(value):
    with pytest.raises(ConfigError, match="tenant: recycle must be dict or null"):
        tenant(recycle=value)


def test_which_checkpoint_to_restore_is_read():
    assert parse_restore(b'{"checkpoint": "a1"}') == "a1"


@pytest.mark.parametrize("body", [b"", b"a1", b"[]", b"{}", b'{"checkpoint": ""}', b'{"checkpoint": "a", "b": 1}'])
def test_anything_else_is_not(body):
    with pytest.raises(ConfigError, match="restore"):
        parse_restore(body)


@pytest.mark.parametrize(("body", "pids"), [(b"{}", ()), (b'{"freeze": []}', ()), (b'{"freeze": [7, 8]}', (7, 8))])
def test_which_processes_to_freeze_from_now_on_is_read(body, pids):
    assert parse_restart(body) == pids


@pytest.mark.parametrize("body", [b"", b"[7]", b'{"freeze": 7}', b'{"freeze": [1]}', b'{"thaw": [7]}'])
def test_no_other_wish_is_understood(body):
    with pytest.raises(ConfigError, match="restart"):
        parse_restart(body)


class Behind:
    """What is behind the admin API, tenants and recyclers: notes what it was asked, answers what it is told to."""

    def __init__(self):
        self.asked = []
        self.answer = None

    def __getattr__(self, call):
        async def asked(*arguments, **keywords):
            self.asked.append((call, *arguments, *keywords.values()))
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        return asked


@pytest.fixture
def ask():
    """Ask an admin API something, with `Behind` behind it; returns status and answer, and what was asked of whom."""

    def once(method, path, body=b"", *, answer=None):
        async def main():
            behind = Behind()
            behind.answer = answer
            with tempfile.TemporaryDirectory(dir="/tmp") as directory:  # Unix sockets have short paths
                socket = Path(directory) / "admin.sock"
                async with (
                    Gateways.open(behind, Server(url="https://127.0.0.1:1")) as gateways,
                    admin.served(Carriage(behind, behind, gateways, gateways), admin.Doors(socket=socket)),
                    aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(socket))) as session,
                    session.request(method, f"http://it{path}", data=io.BytesIO(body)) as response,
                ):
                    return response.status, await response.json(), behind.asked

        return asyncio.run(main())

    return once


OUTCOME = Outcome(
    pristine=False, reason="it keeps changing", revision=7, keys=3, revived=("pods/default/a",), seconds={"reset": 0.5}
)
AS_JSON = {
    "pristine": False,
    "reason": "it keeps changing",
    "revision": 7,
    "keys": 3,
    "revived": ["pods/default/a"],
    "outdated": False,
    "restless": "",
    "written": 0,
    "rounds": 0,
    "seconds": {"reset": 0.5},
}


@pytest.mark.parametrize(
    ("path", "body", "asked", "answer", "told"),
    [
        ("baseline", b"", ("capture", "vc-1"), OUTCOME, AS_JSON),
        ("recycle", b"", ("recycle", "vc-1"), OUTCOME, AS_JSON),
        ("recycle", b'{"kvs": []}', ("recycle_unseen", "vc-1", {"kvs": []}), OUTCOME, AS_JSON),
        ("replaced", b'{"freeze": [7]}', ("recycle_awake", "vc-1", (7,)), OUTCOME, AS_JSON),
        ("checkpoint", b"", ("checkpoint", "vc-1"), "a1", {"checkpoint": "a1"}),
        ("restore", b'{"checkpoint": "a1"}', ("restore", "vc-1", "a1"), OUTCOME, AS_JSON),
        ("restart", b'{"freeze": [7]}', ("restart", "vc-1", (7,)), None, {"name": "vc-1"}),
    ],
)
def test_what_can_be_asked_for(ask, path, body, asked, answer, told):
    assert ask("POST", f"/v1/tenants/vc-1/{path}", body, answer=answer) == (200, told, [asked])


def test_a_whole_state_may_be_sent(ask):
    state = {"kvs": [{"key": "a", "value": "-" * (4 << 20)}]}
    status, _, [(_, _, sent)] = ask("POST", "/v1/tenants/vc-1/recycle", json.dumps(state).encode(), answer=OUTCOME)
    assert (status, sent) == (200, state)


def test_a_tenant_that_goes_is_recycled_no_more(ask):
    assert ask("DELETE", "/v1/tenants/vc-1") == (200, {"name": "vc-1"}, [("remove", "vc-1"), ("remove", "vc-1")])


@pytest.mark.parametrize("recycle", [None, {**RECYCLE, "audit": "/a.log"}])
def test_a_tenant_that_comes_can_be_recycled_if_it_says_how(ask, recycle, tmp_path):
    kubeconfig(tmp_path / "virtual", "http://127.0.0.1:1")
    body = json.dumps(description(tmp_path, name="vc-1", recycle=recycle)).encode()
    status, _, asked = ask("POST", "/v1/tenants", body)
    target = Target(etcd=Path("/e.sock"), prefix="/vc/", freeze=(4712,), rest=(4711, 4712), audit=Path("/a.log"))
    assert status == 201
    assert [call[1:3] for call in asked[1:]] == ([("vc-1", target)] if recycle else [])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NoSuchTenant("no tenant 'vc-1' that can be recycled; there are: none"), 404),
        (NoSuchCheckpoint("tenant 'vc-1' has no checkpoint 'a1'"), 404),
        (NotPristine("it never came to rest; still changing: configmaps/default/a"), 409),
        (NotReached("waited 5 s for discovery"), 409),
        (NotFrozen("process 7 can't be stopped"), 502),
        (StoreError("etcd gave no answer"), 502),
        (Unreachable("no answer in time"), 502),
    ],
)
@pytest.mark.parametrize("path", ["baseline", "recycle", "checkpoint"])
def test_what_goes_wrong_is_told_with_its_status(ask, path, error, status):
    found, told, _ = ask("POST", f"/v1/tenants/vc-1/{path}", answer=error)
    assert (found, told) == (status, {"error": str(error)})


@pytest.mark.parametrize(
    ("path", "body"),
    [("restore", b"{}"), ("restart", b"[]"), ("replaced", b"[]"), ("recycle", b"{"), ("recycle", b"[]")],
)
def test_what_is_not_understood_is_a_bad_request_and_nothing_is_done(ask, path, body):
    status, told, asked = ask("POST", f"/v1/tenants/vc-1/{path}", body)
    assert (status, asked) == (400, [])
    assert path in told["error"]
