"""What a pod's syncer does before it imports itself: the seed and the link, or nothing."""

import base64
import gzip
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingUnixStreamServer

import pytest
from vcluster_syncer.pod import ahead


class Gateway(BaseHTTPRequestHandler):
    """etcd's JSON gateway, for one transaction."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, json.loads(body)))
        answer = json.dumps({"succeeded": self.server.empty}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def address_string(self):
        return "unix"

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def etcd(tmp_path):
    with ThreadingUnixStreamServer(str(tmp_path / "e"), Gateway) as server:
        server.asked, server.empty = [], True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def arguments(tmp_path):
    seed = gzip.compress(json.dumps({"entries": {"a/b": base64.b64encode(b"\0v").decode()}}).encode())
    (tmp_path / "seed").write_bytes(seed)
    store = {"etcd": str(tmp_path / "e"), "open": str(tmp_path / "store.sock"), "prefix": "/registry/"}
    (tmp_path / "c.json").write_text(json.dumps({"pod": {"store": store, "seed": str(tmp_path / "seed")}}))
    return ["--config", str(tmp_path / "c.json")]


def test_the_seed_is_written_if_nothing_is_there_and_the_store_opened(etcd, arguments, tmp_path):
    assert ahead.begin(arguments)
    [(path, transaction)] = etcd.asked
    assert path == "/v3/kv/txn"
    put = transaction["success"][0]["requestPut"]
    assert (base64.b64decode(put["key"]), base64.b64decode(put["value"])) == (b"/registry/a/b", b"\0v")
    [compared] = transaction["compare"]
    assert (base64.b64decode(compared["key"]), base64.b64decode(compared["range_end"])) == (
        b"/registry/",
        b"/registry0",
    )
    assert (tmp_path / "store.sock").readlink() == tmp_path / "e"


def test_a_state_that_is_there_is_left_to_who_can_tell(etcd, arguments, tmp_path):
    etcd.empty = False
    assert not ahead.begin(arguments)
    assert not (tmp_path / "store.sock").is_symlink()


def test_a_store_that_was_opened_is_not_touched(etcd, arguments, tmp_path):
    (tmp_path / "store.sock").symlink_to(tmp_path / "e")
    assert not ahead.begin(arguments)
    assert etcd.asked == []


def test_nobody_is_waited_for_long(arguments):
    assert not ahead.begin(arguments, patience=0.05)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"pod": {}}', '{"pod": {"seed": "/nowhere", "store": {}}}'])
def test_other_configurations_are_not_its_business(tmp_path, content):
    (tmp_path / "c.json").write_text(content)
    assert not ahead.begin(["--config", str(tmp_path / "c.json")])


@pytest.mark.parametrize(
    "given", [[], ["--help"], ["--config"], ["--config", "/nowhere"], ["--config", "x", "--host-rules"]]
)
def test_other_arguments_are_not_its_business(given):
    assert not ahead.begin(given)


def test_it_needs_the_standard_library_only():
    code = "import sys, vcluster_syncer.__main__; print([m for m in ('aiohttp', 'orjson', 'yaml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
