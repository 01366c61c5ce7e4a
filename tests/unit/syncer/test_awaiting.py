"""What holds back the containers below the syncer."""

import http.server
import json
import threading
import time

import pytest
from vcluster_syncer import awaiting


class Server(http.server.BaseHTTPRequestHandler):
    """Refuses each path as often as it is told to."""

    refusals: dict[str, int]
    seen: list[tuple[str, str]]

    def do_GET(self):
        self.seen.append((self.path, self.headers["Authorization"]))
        left = self.refusals.get(self.path, 0)
        self.refusals[self.path] = left - 1
        self.send_response(503 if left > 0 else 200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    handler = type("Handler", (Server,), {"refusals": {}, "seen": []})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving
        serving.shutdown()


def config(tmp_path, port):
    path = tmp_path / "kubeconfig"
    document = {
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "c", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        "current-context": "c",
    }
    path.write_text(json.dumps(document))
    return f"--kubeconfig={path}"


def test_waits_for_one_path_after_the_other(server, tmp_path, capsys):
    server.RequestHandlerClass.refusals.update({"/readyz?exclude=a&exclude=b": 2, "/apis/role": 1})
    port = server.server_address[1]
    assert awaiting.main([config(tmp_path, port), "/readyz?exclude=a&exclude=b", "/apis/role"]) == 0
    assert server.RequestHandlerClass.seen == [
        *[("/readyz?exclude=a&exclude=b", "Bearer t")] * 3,
        *[("/apis/role", "Bearer t")] * 2,
    ]
    assert capsys.readouterr().err == ""


def test_gives_up_without_failing_and_says_what_it_saw_last(server, tmp_path, capsys):
    server.RequestHandlerClass.refusals["/readyz"] = 1000
    assert awaiting.main([config(tmp_path, server.server_address[1]), "--timeout=0.5", "/readyz"]) == 0
    assert "/readyz: 503, after 0.5 s" in capsys.readouterr().err


def test_nobody_listening_is_waited_for_too(tmp_path, capsys):
    assert awaiting.main([config(tmp_path, 1), "--timeout=0.1", "/readyz"]) == 0
    assert "ConnectionRefusedError" in capsys.readouterr().err


def processes(tmp_path, *commands):
    for pid, command in enumerate(commands, 7):
        directory = tmp_path / "proc" / str(pid)
        directory.mkdir(parents=True)
        (directory / "cmdline").write_bytes(f"/usr/bin/{command}\0--flag".encode())
        (directory / "stat").write_text(f"{pid} ({command}) S " + "0 " * 40)
    return f"--processes={tmp_path / 'proc'}"


def test_ends_when_what_it_waits_for_has_died(tmp_path, capsys):
    there = processes(tmp_path, "etcd", "pause")
    begun = time.monotonic()
    assert awaiting.main([config(tmp_path, 1), there, "--while=etcd", "--while=kube-apiserver", "/readyz"]) == 0
    assert "and there is no kube-apiserver" in capsys.readouterr().err
    assert time.monotonic() - begun < 30


def test_waits_while_it_lives(tmp_path, capsys):
    there = processes(tmp_path, "etcd", "kube-apiserver")
    needed = ["--while=etcd", "--while=kube-apiserver"]
    assert awaiting.main([config(tmp_path, 1), there, *needed, "--timeout=0.6", "/readyz"]) == 0
    assert "after 0.6 s" in capsys.readouterr().err


def test_a_kubeconfig_that_can_not_be_read_does_not_end_the_syncer(tmp_path, capsys):
    assert awaiting.main([f"--kubeconfig={tmp_path / 'none'}", "/readyz"]) == 0
    assert "can't be read" in capsys.readouterr().err
