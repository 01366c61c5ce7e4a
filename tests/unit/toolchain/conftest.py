"""A download site, a Go and a machine of one's own for each test."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from toolchain_fakes import Answer, FakeGo, FakeSite, make_fake_go

from pytest_vcluster.toolchain import Sources


@pytest.fixture
def fake_go(tmp_path: Path) -> FakeGo:
    return make_fake_go(tmp_path / "fake-go", "go1.26.8")


@pytest.fixture
def site() -> Iterator[FakeSite]:
    answers: dict[str, Answer] = {}
    requests: list[str] = []
    closing = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            answer = answers.get(self.path, Answer(status=404))
            if answer.silent:
                closing.wait()
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body) if answer.announce is None else answer.announce))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield FakeSite(f"http://127.0.0.1:{server.server_address[1]}", answers, requests)
        finally:
            closing.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def environ(tmp_path: Path, fake_go: FakeGo) -> dict[str, str]:
    """A user's environment with the fake Go, and neither network nor kubectl."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "cat", "grep", "sleep", "mv"):
        found = next(folder for folder in ("/bin", "/usr/bin") if Path(folder, name).exists())
        (tools / name).symlink_to(Path(found, name))
    return {
        "PATH": f"{fake_go.home}{os.pathsep}{tools}",
        "HOME": str(tmp_path / "home"),
        "PYTEST_VCLUSTER_CACHE": str(tmp_path / "cache"),
        "PYTEST_VCLUSTER_K8S_MIRROR": "http://127.0.0.1:9",
        "PYTEST_VCLUSTER_GITHUB_MIRROR": "http://127.0.0.1:9",
    }


@pytest.fixture
def make_sources(environ: dict[str, str]) -> Callable[..., Sources]:
    """Sources of `environ`, with the fields that a test gives changed."""

    def make(*, offline: bool = False, **changes: object) -> Sources:
        quick = {"answer_seconds": 20.0, "stall_seconds": 20.0, "report_seconds": 0.05, **changes}
        return replace(Sources.from_environ(environ, offline=offline), **quick)  # type: ignore[arg-type]

    return make
