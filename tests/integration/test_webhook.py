"""Webhooks that the test process serves, called by the test's own API server."""

import itertools
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pytest_vcluster.errors import ApiError


class Hook(BaseHTTPRequestHandler):
    """Refuses objects with the label `bad`; `seen` is who was asked about."""

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review["request"]
        self.server.seen.append((self.path.partition("?")[0], request["name"]))
        allowed = "bad" not in (request["object"]["metadata"].get("labels") or {})
        answer = {"uid": request["uid"], "allowed": allowed, "status": {"message": "no bad ones here"}}
        body = json.dumps({**review, "request": None, "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as running:
        running.seen = []
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def configuration(config):
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    hook = {
        "name": "bad.example.com",
        "clientConfig": config,
        "rules": [rule],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Fail",
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}},
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "bad"},
        "webhooks": [hook],
    }


def configmap(name, **labels):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}}


def refusal(vcluster):
    """What the server says of an object that the webhook refuses, as soon as the webhook is in force."""
    deadline = time.monotonic() + 60
    for attempt in itertools.count():
        if time.monotonic() > deadline:
            break
        try:
            vcluster.apply(configmap(f"bad-{attempt}", bad="yes"))
        except ApiError as error:
            return str(error)
    return "it was never refused"


def test_the_api_server_asks_a_webhook_in_the_test_process(vcluster, server):
    config = vcluster.webhook(server.server_address[1])
    server.socket = config.ssl_context().wrap_socket(server.socket, server_side=True)
    vcluster.apply(configuration(config.at("/validate")))
    assert "no bad ones here" in refusal(vcluster)
    vcluster.apply(configmap("good"))
    assert ("/validate", "good") in server.seen


def test_nobody_asks_the_webhook_of_the_test_before(vcluster):
    assert vcluster.get("validatingwebhookconfigurations") == []
    vcluster.apply(configmap("anything", bad="yes"))
