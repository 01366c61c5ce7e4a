"""A webhook that the test process serves at loopback, called by an API server in a container."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pytest_vcluster.errors import ApiError


class Refusing(BaseHTTPRequestHandler):
    """Refuses whatever it is asked about."""

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        response = {"uid": review["request"]["uid"], "allowed": False, "status": {"message": "not on my watch"}}
        body = json.dumps({**review, "request": None, "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


def test_the_api_server_in_a_pod_asks_the_test_process(vcluster):
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        config = vcluster.webhook(server.server_address[1])
        server.socket = config.ssl_context().wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
        hook = {
            "name": "refuse.example.com",
            "clientConfig": config.at("/validate"),
            "rules": [rule],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}},
        }
        vcluster.apply(
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "ValidatingWebhookConfiguration",
                "metadata": {"name": "refuse"},
                "webhooks": [hook],
            }
        )
        said, deadline = "nothing", time.monotonic() + 60
        while said == "nothing" and time.monotonic() < deadline:
            try:
                vcluster.apply(
                    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"a-{time.monotonic_ns()}"}}
                )
            except ApiError as error:
                said = str(error)
        server.shutdown()
    assert "not on my watch" in said
