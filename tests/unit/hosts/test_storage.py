"""The storage class of the embedded host, and what virtual clusters start with."""

import json
from datetime import UTC, datetime

from vcluster_syncer.model import STORAGE_CLASSES, Key
from vcluster_syncer.switches import selected
from vcluster_syncer.translate import KINDS

from pytest_vcluster.hosts import storage


def test_the_class_that_a_cluster_starts_with_is_what_the_syncer_would_make():
    """Otherwise the first cluster's state would change as soon as the host is there."""
    [kind] = [each for each in selected(KINDS, {"from_host.storage_classes": True}) if each.resource == STORAGE_CLASSES]
    made = storage.mirrored_class(uid="u", now=datetime(2026, 11, 21, tzinfo=UTC))
    assert kind.reconcile(Key("", "standard"), made, storage.STORAGE_CLASS, None) == ()
    another = {**storage.STORAGE_CLASS, "allowVolumeExpansion": True}
    assert kind.reconcile(Key("", "standard"), made, another, None) != ()


def test_it_is_stored_where_the_api_server_looks_and_as_an_object_of_its_own():
    [(key, value)] = storage.stored_class().items()
    stored = json.loads(value)
    assert key == b"storageclasses/standard"
    assert stored["apiVersion"] == "storage.k8s.io/v1"
    assert stored["metadata"]["uid"] != json.loads(storage.stored_class()[key])["metadata"]["uid"]


def test_every_user_of_the_machine_may_have_volumes(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "DIRECTORIES", tmp_path / "volumes")
    for _ in range(2):
        storage.prepare()
    assert storage.DIRECTORIES.stat().st_mode & 0o7777 == 0o1777
