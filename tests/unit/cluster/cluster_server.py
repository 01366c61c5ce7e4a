"""An HTTP server in this process that answers what a test tells it to, and fakes of what the handle is given."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pytest_vcluster.cluster.rest import Rest


class Request:
    """What the server was asked."""

    def __init__(self, method: str, target: str, headers: Any, body: bytes) -> None:
        parts = urlsplit(target)
        self.method, self.path, self.query = method, parts.path, dict(parse_qsl(parts.query))
        self.headers = headers
        self.body = json.loads(body) if body else None


class Answer:
    """What it answers: a status, a document (or bytes), headers; `lines` make a stream, `cut` breaks the connection."""

    def __init__(self, status=200, document=None, *, headers=None, lines=None, cut=False):
        self.status, self.document, self.headers = status, document, headers or {}
        self.lines, self.cut = lines, cut


@contextlib.contextmanager
def serving(answer: Callable[[Request], Answer]) -> Iterator[tuple[str, list[Request]]]:
    """Serve until the context ends; yields the URL and the requests so far."""
    requests: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(self.command, self.path, self.headers, body)
            requests.append(request)
            given = answer(request)
            if given.cut:
                self.close_connection = True
                return
            self.send_response(given.status)
            for name, value in given.headers.items():
                self.send_header(name, value)
            if given.lines is not None:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for line in given.lines:
                    self.chunk(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
                self.chunk(b"")
                return
            data = given.document if isinstance(given.document, bytes) else json.dumps(given.document or {}).encode()
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815 - http.server's names

        def chunk(self, data):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def client_of(answer, *, timeout=30.0):
    """A client of a server that answers so; yields it and the requests so far."""
    with serving(answer) as (url, requests):
        rest = Rest(url, tls=None, timeout=timeout)
        try:
            yield rest, requests
        finally:
            rest.close()


def refusal(status, reason, message):
    """An error as Kubernetes words it."""
    return Answer(status, {"kind": "Status", "status": "Failure", "reason": reason, "message": message})


def death(component="kube-apiserver", status="killed by signal 9"):
    return SimpleNamespace(component=component, status=status, log=f"/logs/{component}.log", tail="its last words")


class FakeLease:
    """A lease on a cluster that is a server in this process."""

    def __init__(self, url="https://127.0.0.1:1", **facts):
        self.died = []
        self.grant = SimpleNamespace(
            **{
                "cluster": "vc-1",
                "version": "v1.36.4",
                "url": url,
                "kubeconfig": json.dumps({"kind": "Config", "current-context": "vc-1", "clusters": []}),
                "certificate_authority": "",
                "client_certificate": "",
                "client_key": "",
                "client_ca_certificate": "",
                "client_ca_key": "",
                "revision": 100,
                "logs": {},
                "host": {"kind": "embedded", "namespace": "vc-1", "version": "v1.36.4", "kubeconfig": "/host"},
                **facts,
            }
        )

    def deaths(self):
        return list(self.died)


def discovery_of(*resources, group="", version="v1"):
    """One group of aggregated discovery; each resource is (plural, kind, scope) and more fields as a dict."""
    listed = [
        {
            "resource": plural,
            "singularResource": kind.lower(),
            "responseKind": {"group": group, "version": version, "kind": kind},
            "scope": scope,
            "verbs": ["create", "delete", "get", "list", "patch", "watch"],
            **more,
        }
        for plural, kind, scope, more in resources
    ]
    return {"metadata": {"name": group}, "versions": [{"version": version, "resources": listed}]}


CORE = discovery_of(
    ("pods", "Pod", "Namespaced", {"shortNames": ["po"], "subresources": [{"subresource": "status"}]}),
    ("events", "Event", "Namespaced", {"shortNames": ["ev"]}),
    ("namespaces", "Namespace", "Cluster", {"shortNames": ["ns"]}),
    ("configmaps", "ConfigMap", "Namespaced", {"shortNames": ["cm"]}),
    ("secrets", "Secret", "Namespaced", {}),
    ("serviceaccounts", "ServiceAccount", "Namespaced", {"shortNames": ["sa"]}),
)
APPS = discovery_of(("deployments", "Deployment", "Namespaced", {"shortNames": ["deploy"]}), group="apps")
EXTENSIONS = discovery_of(
    ("customresourcedefinitions", "CustomResourceDefinition", "Cluster", {"shortNames": ["crd"]}),
    group="apiextensions.k8s.io",
)


def served_kinds(request, *groups):
    """The answer to a request for discovery, or None if it is another one."""
    if request.path == "/api":
        return Answer(document={"kind": "APIGroupDiscoveryList", "items": [CORE]})
    if request.path == "/apis":
        return Answer(document={"kind": "APIGroupDiscoveryList", "items": [APPS, EXTENSIONS, *groups]})
    return None
