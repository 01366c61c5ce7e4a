import time

import pytest
from vcluster_syncer.engine.store import Store
from vcluster_syncer.model import CONFIGMAPS, Key

A = Key("default", "a")


def obj(name, revision, uid=None, **fields):
    metadata = {"namespace": "default", "name": name, "uid": uid or f"uid-{name}", "resourceVersion": str(revision)}
    return {"metadata": metadata, **fields}


class Log(list):
    def __call__(self, old, new):
        self.append(tuple(one and int(one["metadata"]["resourceVersion"]) for one in (old, new)))


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def store(log):
    return Store(CONFIGMAPS, log)


def revision(store, key=A):
    found = store.get(key)
    return found and int(found["metadata"]["resourceVersion"])


def test_objects_are_made_uniform_and_lose_what_nobody_reads(store):
    store.replace([{**obj("a", 1), "metadata": {**obj("a", 1)["metadata"], "managedFields": [1]}}], 1)
    found = store.get(A)
    assert (found["apiVersion"], found["kind"]) == ("v1", "ConfigMap")
    assert "managedFields" not in found["metadata"]


def test_an_older_state_never_replaces_a_younger_one(store, log):
    store.upsert(obj("a", 5))
    store.upsert(obj("a", 4))
    store.upsert(obj("a", 5))
    assert log == [(None, 5)]


def test_our_own_write_makes_its_echo_from_the_watch_no_news(store, log):
    store.replace([obj("a", 1)], 3)
    store.upsert(obj("a", 7), asked=True)
    store.upsert(obj("a", 6))
    store.upsert(obj("a", 7))
    assert log == [(None, 1), (1, 7)]


def test_a_deleted_uid_never_comes_back(store, log):
    store.upsert(obj("a", 5))
    store.forget(A, "uid-a")
    store.upsert(obj("a", 6))
    store.upsert(obj("a", 7), asked=True)
    assert store.get(A) is None
    assert log == [(None, 5), (5, None)]


def test_a_late_deletion_of_a_namesake_does_not_drop_its_successor(store):
    store.upsert(obj("a", 9, "second"))
    store.remove(obj("a", 8, "first"))
    assert revision(store) == 9


def test_the_deletion_of_a_namesake_we_never_saw_drops_its_predecessor(store):
    store.upsert(obj("a", 3, "first"))
    store.remove(obj("a", 8, "second"))
    assert store.get(A) is None


def test_a_successor_of_the_same_name_replaces_its_predecessor_for_good(store):
    store.upsert(obj("a", 3, "first"))
    store.upsert(obj("a", 8, "second"))
    store.upsert(obj("a", 9, "first"))
    assert store.get(A)["metadata"]["uid"] == "second"


def test_what_a_list_does_not_contain_is_gone_unless_it_is_younger_than_the_list(store):
    store.upsert(obj("a", 3))
    store.upsert(obj("b", 9))
    store.replace([obj("c", 2)], 5)
    assert sorted(one["metadata"]["name"] for one in store.objects()) == ["b", "c"]


def test_events_from_before_a_list_are_no_news_after_it(store):
    store.upsert(obj("a", 3))
    store.replace([], 10)
    store.upsert(obj("b", 8))
    assert len(store) == 0


def test_a_list_repairs_what_memory_had_lost(store):
    store.replace([], 10)
    store.replace([obj("a", 4)], 11)
    assert revision(store) == 4


def test_a_server_whose_history_was_put_back_is_believed(store, log):
    store.replace([obj("a", 100)], 200)
    store.replace([obj("a", 5)], 10)
    assert revision(store) == 5
    assert log == [(None, 100), (100, None), (None, 5)]


def test_a_list_that_comes_after_a_younger_one_is_not_taken_for_a_history_that_was_put_back(store, log):
    asked_at = time.monotonic()
    store.replace([obj("a", 4)], 10, asked_at=time.monotonic())
    store.replace([obj("gone", 3)], 9, asked_at=asked_at)
    assert log == [(None, 4)]
    store.replace([obj("b", 5)], 9, asked_at=time.monotonic())
    assert log[1:] == [(4, None), (None, 5)]


def test_objects_are_listed_by_namespace(store):
    store.upsert(obj("a", 1))
    store.upsert({"metadata": {**obj("b", 2)["metadata"], "namespace": "other"}})
    assert [one["metadata"]["name"] for one in store.objects("other")] == ["b"]
    assert len(list(store.objects())) == 2
