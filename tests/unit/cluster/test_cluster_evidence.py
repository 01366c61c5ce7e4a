import base64
import time
from types import SimpleNamespace

import pytest
import yaml
from cluster_server import Answer, FakeLease, client_of, death, refusal, served_kinds

from pytest_vcluster.cluster.api import Api
from pytest_vcluster.cluster.changes import presentable
from pytest_vcluster.cluster.discovery import Discovery
from pytest_vcluster.cluster.evidence import collect
from pytest_vcluster.cluster.rest import Rest


def meta(name, revision, namespace="default", **more):
    place = {"namespace": namespace} if namespace else {}
    return {"name": name, "resourceVersion": str(revision), "managedFields": [{"manager": "x"}], **place, **more}


OBJECTS = {
    "/api/v1/configmaps": [
        {"metadata": meta("old", 100)},
        {"metadata": meta("new", 101), "data": {"script": "one\ntwo\n"}},
        {"metadata": meta("x" * 253, 102)},
    ],
    "/api/v1/namespaces": [{"metadata": meta("mine", 103, namespace="")}],
    "/api/v1/secrets": [
        {"metadata": meta("s", 104, "mine"), "data": {"password": base64.b64encode(b"hunter2").decode()}}
    ],
    "/api/v1/events": [
        {"metadata": meta("e", 99), "reason": "TooOld", "lastTimestamp": "2026-01-01T00:00:00Z"},
        {"metadata": meta("e", 105), "reason": "Happened", "lastTimestamp": "2026-01-01T00:00:01Z"},
    ],
}


def answer(request):
    return served_kinds(request) or Answer(document={"items": OBJECTS.get(request.path, [])})


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "apiserver.log"
    path.write_text("before\nafter\n")
    return SimpleNamespace(path=str(path), offset=7)


def cluster_of(rest, lease):
    api = Api(rest=rest, discovery=Discovery(rest), check=lambda: None)
    return SimpleNamespace(lease=lease, api=api, name="vc-1", version="v1.36.4")


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_it_holds_what_changed_since_the_lease_began(tmp_path, log):
    folder = tmp_path / "evidence"
    with client_of(answer) as (rest, _):
        made = collect(cluster_of(rest, FakeLease(logs={"kube-apiserver": log})), folder, timeout=5)
    long = next(name for name in files(folder) if "xxx" in name)
    assert len(long.rpartition("/")[2]) < 255
    assert [name for name in files(folder) if name != long] == [
        "README.txt",
        "events.txt",
        "kubeconfig",
        "logs/kube-apiserver.log",
        "objects/_cluster/namespace/mine.yaml",
        "objects/default/configmap/new.yaml",
        "objects/mine/secret/s.yaml",
    ]
    assert made.directory == folder
    assert made.summary == "logs of kube-apiserver, 1 events, 4 objects changed"
    assert (folder / "logs" / "kube-apiserver.log").read_text() == "after\n"
    assert "Happened" in (folder / "events.txt").read_text()
    assert "TooOld" not in (folder / "events.txt").read_text()
    text = (folder / "objects/default/configmap/new.yaml").read_text()
    assert yaml.safe_load(text)["data"] == {"script": "one\ntwo\n"}
    assert "managedFields" not in text
    assert "script: |\n" in text
    assert "hunter2" not in (folder / "objects/mine/secret/s.yaml").read_text()
    assert (folder / "kubeconfig").stat().st_mode & 0o777 == 0o600


def test_no_secret_is_written_down():
    last = "kubectl.kubernetes.io/last-applied-configuration"
    data = base64.b64encode(b"12345").decode()
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "data": {"a": data, "b": "?"},
        "metadata": {"annotations": {last: data, "x": "y"}},
    }
    shown = presentable(secret)
    assert shown["data"] == {"a": "<redacted: 5 bytes>", "b": "<redacted>"}
    assert shown["metadata"]["annotations"] == {last: "<redacted>", "x": "y"}
    assert secret["data"]["a"] == data
    assert secret["metadata"]["annotations"][last] == data


def test_a_part_that_fails_is_named_and_the_others_are_there(tmp_path, log):
    def partly(request):
        return refusal(500, "InternalError", "oops") if request.path == "/api/v1/secrets" else answer(request)

    logs = {"kube-apiserver": log, "gone": SimpleNamespace(path="/nowhere/x.log", offset=0)}
    with client_of(partly) as (rest, _):
        made = collect(cluster_of(rest, FakeLease(logs=logs)), tmp_path / "e", timeout=5)
    problems = (tmp_path / "e" / "errors.txt").read_text()
    assert "secrets: GET /api/v1/secrets: 500 InternalError: oops" in problems
    assert "log of gone: " in problems
    assert "incomplete: 2 problems, see errors.txt" in made.summary
    assert "3 objects changed" in made.summary


def test_a_dead_api_server_leaves_its_log_and_its_last_words(tmp_path, log):
    lease = FakeLease(logs={"kube-apiserver": log})
    lease.died.append(death())
    rest = Rest("http://127.0.0.1:9", tls=None, timeout=1)
    made = collect(cluster_of(rest, lease), tmp_path / "e", timeout=2)
    assert made.summary.startswith("kube-apiserver died, logs of kube-apiserver")
    assert "its last words" in (tmp_path / "e" / "deaths.txt").read_text()
    assert "objects: Unreachable" in (tmp_path / "e" / "errors.txt").read_text()


def test_it_never_raises_not_even_without_a_place_to_write(tmp_path, log):
    (tmp_path / "file").write_text("in the way")
    with client_of(answer) as (rest, _):
        made = collect(cluster_of(rest, FakeLease(logs={"a": log})), tmp_path / "file" / "e", timeout=2)
    assert "errors.txt can't be written" in made.summary


def test_it_is_done_when_its_time_is_up(tmp_path):
    def slow(request):
        if request.path == "/api/v1/secrets":
            time.sleep(1.5)
        return answer(request)

    began = time.monotonic()
    with client_of(slow) as (rest, _):
        collect(cluster_of(rest, FakeLease()), tmp_path / "e", timeout=0.5)
        assert time.monotonic() - began < 1.4
    assert "secrets: " in (tmp_path / "e" / "errors.txt").read_text()


def test_a_long_log_is_cut_at_its_beginning(tmp_path, monkeypatch, log):
    monkeypatch.setattr("pytest_vcluster.cluster.evidence._LOG_BYTES", 3)
    with client_of(answer) as (rest, _):
        collect(cluster_of(rest, FakeLease(logs={"a": log})), tmp_path / "e", timeout=5)
    assert (tmp_path / "e" / "logs" / "a.log").read_text() == "[3 bytes before this are left out]\ner\n"
