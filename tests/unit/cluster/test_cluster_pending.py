"""What people are told of pods that are not ready."""

import contextlib
import http.server
import json
import socketserver
import tempfile
import threading
from pathlib import Path

import pytest
from cluster_server import FakeLease

from pytest_vcluster.cluster import pending
from pytest_vcluster.cluster.evidence import collect
from pytest_vcluster.errors import ApiError

HOST = {
    "namespace": "vc-1",
    "name": "web-abc",
    "phase": "Pending",
    "node": "",
    "terminating": False,
    "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}],
    "containers": [{"name": "main", "state": "waiting", "reason": "ImagePullBackOff", "message": ""}],
    "events": [{"type": "Warning", "reason": "FailedScheduling", "message": "0/1 nodes", "count": 3}],
}


def pod(name="web", namespace="default", **changes):
    return {
        "namespace": namespace,
        "name": name,
        "owners": [],
        "phase": "Pending",
        "waits_for": [],
        "queue": "idle",
        "error": "",
        "used": [],
        "events": [],
        "host": None,
        **changes,
    }


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self):
        request, _ = super().get_request()
        return request, ("syncer", 0)


@contextlib.contextmanager
def syncer(answer, status=200):
    """A syncer that answers everything with `answer`; yields its socket and the paths it was asked for."""
    paths = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            paths.append(self.path)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        path = Path(directory) / "s"
        with _Server(str(path), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield str(path), paths
            server.shutdown()


def explained(path, kind, name, namespace="default"):
    return pending.explain({"syncer": path}, "vc-1", kind=kind, name=name, namespace=namespace)


def test_both_sides_are_spelt():
    waiting = pod(
        waits_for=["Secret default/s, which does not exist"],
        queue="delayed",
        used=["ConfigMap default/c: NameTaken: it is"],
        events=[{"type": "Warning", "reason": "SyncError", "message": "quota", "count": 1}],
        host=HOST,
    )
    assert pending.text([waiting]).splitlines() == [
        "Pod default/web: Pending, on the host web-abc in vc-1",
        "  waits for Secret default/s, which does not exist",
        "  in the syncer's queue: delayed",
        "  it uses ConfigMap default/c: NameTaken: it is",
        "  host pod: Pending, on no node yet",
        "  host condition PodScheduled=False: Unschedulable: 0/1 nodes",
        "  host container main: waiting: ImagePullBackOff",
        "  host event FailedScheduling (3 times): 0/1 nodes",
        "  event SyncError: quota",
    ]


def test_what_the_syncer_could_not_do_is_told_instead_of_its_queue():
    assert pending.text([pod(queue="delayed", error="exceeded quota")]).splitlines() == [
        "Pod default/web: Pending, not on the host",
        "  the syncer can't carry it: exceeded quota",
    ]


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        ("Pod", "web", ["web"]),
        ("Deployment", "web", ["web-1-a", "web-1-b"]),
        ("ReplicaSet", "web-1", ["web-1-a", "web-1-b"]),
        ("StatefulSet", "web", ["web-0"]),
        ("Job", "other", []),
        ("ConfigMap", "web", []),
    ],
)
def test_only_the_pods_of_the_workload_are_told(kind, name, told):
    pods = [
        pod(),
        pod("web-1-a", owners=["ReplicaSet/web-1"]),
        pod("web-1-b", owners=["ReplicaSet/web-1"]),
        pod("web-0", owners=["StatefulSet/web"]),
        pod("web", "elsewhere"),
    ]
    with syncer(pods) as (path, asked):
        text = explained(path, kind, name)
    assert [line.split()[1] for line in text.splitlines()] == [f"default/{one}:" for one in told]
    assert asked == ([] if kind == "ConfigMap" else ["/v1/tenants/vc-1/pending"])


def test_many_pods_are_told_by_a_few():
    pods = [pod(f"web-1-{number}", owners=["ReplicaSet/web-1"]) for number in range(40)]
    with syncer(pods) as (path, _):
        text = explained(path, "Deployment", "web")
    assert text.count("Pod default/") == 3
    assert text.endswith("and 37 more\n")


def test_a_syncer_that_is_not_there_or_fails_never_fails_whoever_explains():
    assert explained("/nowhere", "Pod", "web") == ""
    with syncer({"error": "x"}, status=500) as (path, _):
        assert explained(path, "Pod", "web") == ""
        with pytest.raises(ApiError, match="500"):
            pending.pods({"syncer": path}, "vc-1", timeout=5)
    assert pending.pods({}, "vc-1", timeout=5) is None
    with syncer({"error": "no tenant"}, status=404) as (path, _):
        assert pending.pods({"syncer": path}, "vc-1", timeout=5) is None


def test_evidence_has_a_file_of_pending_pods_if_there_are_any(tmp_path):
    class Cluster:
        name, version, api = "vc-1", "v1.36.4", None

        def __init__(self, path):
            self.lease = FakeLease(host={"kind": "embedded", "syncer": path})

    with syncer([pod()]) as (path, _):
        made = collect(Cluster(path), tmp_path / "some", timeout=5)
    assert (tmp_path / "some" / "pending.txt").read_text() == "Pod default/web: Pending, not on the host\n"
    assert "1 pods not ready" in made.summary
    with syncer([]) as (path, _):
        collect(Cluster(path), tmp_path / "none", timeout=5)
    assert not (tmp_path / "none" / "pending.txt").exists()
    with syncer({"error": "oops"}, status=500) as (path, _):
        collect(Cluster(path), tmp_path / "failed", timeout=5)
    assert "pending.txt: ApiError: GET pending: 500" in (tmp_path / "failed" / "errors.txt").read_text()
