"""Baselines that clusters are cloned from: which are kept, for whom, and what becomes of files that are none."""

import asyncio
import json
import stat
from types import SimpleNamespace

import pytest

from pytest_vcluster.controlplane.networks import SERVICE_RANGES
from pytest_vcluster.errors import ApiError
from pytest_vcluster.hosts.baselines import BaselineStore, cached

TEMPLATE = "v1.36.4-0123456789abcdef.json"
NAME = "v1.36.4-0123456789abcdef-d1.json"
UID = "11111111-2222-3333-4444-555555555555"
MAP = b"configmaps/default/a"
STATE = {MAP: b"k8s\0\x2a\x24" + UID.encode(), b"configmaps/default/kube-root-ca.crt": b"protobuf"}


class World:
    """A cluster, and what it holds in etcd."""

    def __init__(self):
        self.state = dict(STATE)
        self.read = []
        self.closed = []
        self.trouble = None
        client = SimpleNamespace(call=self._call, close=lambda: self.closed.append("client"))
        self.cluster = SimpleNamespace(version="v1.36.4", read=self._read, api=lambda: client)

    def _read(self):
        self.read.append("state")
        return self.state

    def _call(self, _method, path):
        if self.trouble:
            raise self.trouble
        assert path == "/api/v1/namespaces/default/configmaps/kube-root-ca.crt"
        return {"metadata": {"name": "kube-root-ca.crt", "uid": UID}, "data": {"ca.crt": "theirs"}}

    def keep(self, store, digest="d1", about=""):
        asyncio.run(store.keep(digest, self.cluster, about, service_range=SERVICE_RANGES[3]))


@pytest.fixture
def world():
    return World()


def store(cache, run=None, *, template=TEMPLATE):
    """The store of a run; every call without `run` is another run."""
    return BaselineStore(cache, template, {} if run is None else run)


def test_what_nobody_kept_is_not_there(tmp_path):
    assert store(tmp_path).find("d1") is None
    assert list(cached(tmp_path)) == []


def test_a_baseline_is_kept_for_the_run_and_all_its_stores(tmp_path, world):
    run = {}
    world.keep(store(tmp_path, run))
    found = store(tmp_path, run).find("d1")
    assert (found.version, found.entries, found.uids) == ("v1.36.4", {MAP: STATE[MAP]}, {UID})
    assert world.read == ["state"]
    assert world.closed == ["client"]


def test_other_digests_and_other_templates_have_other_baselines(tmp_path, world):
    run = {}
    world.keep(store(tmp_path, run))
    assert store(tmp_path, run).find("d2") is None
    assert store(tmp_path, run, template="v1.37.1-0123456789abcdef.json").find("d1") is None


def test_what_a_function_made_is_for_this_run_only(tmp_path, world):
    world.keep(store(tmp_path), about="")
    assert store(tmp_path).find("d1") is None
    assert list(tmp_path.iterdir()) == []


def test_what_files_made_is_for_all_runs_and_told_by_their_names(tmp_path, world):
    run = {}
    world.keep(store(tmp_path, run), about="crd/a.yaml, deploy/b.yaml")
    assert store(tmp_path).find("d1") == run[NAME]
    folder = tmp_path / "baselines"
    assert [path.name for path in folder.iterdir()] == [NAME]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    [found] = cached(tmp_path)
    assert (found.path, found.version, found.about) == (folder / NAME, "v1.36.4", "crd/a.yaml, deploy/b.yaml")
    assert found.size == (folder / NAME).stat().st_size


def test_a_baseline_is_read_once(tmp_path, world):
    world.keep(store(tmp_path), about="a.yaml")
    run = {}
    first = store(tmp_path, run).find("d1")
    (tmp_path / "baselines" / NAME).unlink()
    assert store(tmp_path, run).find("d1") is first


def test_what_can_not_be_cloned_is_not_kept(tmp_path, world):
    world.state[b"pods/default/web"] = b"-"
    run = {}
    world.keep(store(tmp_path, run), about="a.yaml")
    assert (run, list(tmp_path.iterdir())) == ({}, [])
    assert world.closed == []


def test_a_cluster_without_a_wish_is_not_even_read(tmp_path, world):
    world.keep(store(tmp_path), digest="", about="a.yaml")
    assert world.read == []


def test_an_api_server_that_fails_leaves_nothing_and_no_connection(tmp_path, world):
    world.trouble = ApiError("etcd is away", status=500)
    run = {}
    with pytest.raises(ApiError):
        world.keep(store(tmp_path, run), about="a.yaml")
    assert (run, list(tmp_path.iterdir())) == ({}, [])
    assert world.closed == ["client"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", "{}", '{"template": 7}', '{"template": {"format": 0}}', "\xff"],
    ids=["empty", "cut", "list", "number", "no template", "template is none", "another format", "not text"],
)
def test_a_file_that_is_no_baseline_is_replaced_by_the_next_that_is_kept(tmp_path, world, text):
    path = tmp_path / "baselines" / NAME
    path.parent.mkdir()
    path.write_bytes(text.encode("latin-1"))
    assert store(tmp_path).find("d1") is None
    [told] = cached(tmp_path)
    assert (told.version, told.about, told.size) == ("?", "unreadable", 0)
    world.keep(store(tmp_path), about="a.yaml")
    assert store(tmp_path).find("d1") is not None
    assert [told.about for told in cached(tmp_path)] == ["a.yaml"]


def test_a_file_that_was_cut_off_by_a_crash_is_nobodys_baseline(tmp_path, world):
    world.keep(store(tmp_path), about="a.yaml")
    path = tmp_path / "baselines" / NAME
    path.rename(path.with_name(f"{NAME}.4711.partial"))
    assert store(tmp_path).find("d1") is None
    assert list(cached(tmp_path)) == []


def test_a_baseline_in_the_cache_is_a_document_that_people_can_read(tmp_path, world):
    world.keep(store(tmp_path), about="a.yaml")
    document = json.loads((tmp_path / "baselines" / NAME).read_text())
    assert (document["about"], document["version"], document["template"]["uids"]) == ("a.yaml", "v1.36.4", [UID])
