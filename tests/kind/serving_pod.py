"""What a pod of a virtual cluster serves its API server: three kinds of webhooks, and an API of its own.

The standard library alone, for it is run in a container as it is here: `python serving_pod.py PORT CERTIFICATE KEY`.
"""

import base64
import http.server
import json
import ssl
import sys

GROUP = "served.example.com"


def validate(request):
    """Refuse what has the label `bad`."""
    allowed = "bad" not in request["object"]["metadata"].get("labels", {})
    return {"allowed": allowed, "status": {"message": "a pod says no"}}


def mutate(_request):
    """Annotate whatever comes."""
    patch = [{"op": "add", "path": "/metadata/annotations", "value": {"seen": "by-a-pod"}}]
    return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}


def convert(request):
    """v1 says `size`, v2 says `width`."""
    version = request["desiredAPIVersion"]
    old, new = ("size", "width") if version.endswith("/v2") else ("width", "size")
    converted = [
        {**each, "apiVersion": version, "spec": {new if name == old else name: v for name, v in each["spec"].items()}}
        for each in request["objects"]
    ]
    return {"result": {"status": "Success"}, "convertedObjects": converted}


def resources(_headers):
    """What there is in the API."""
    thing = {"name": "things", "singularName": "thing", "namespaced": False, "kind": "Thing", "verbs": ["get", "list"]}
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{GROUP}/v1", "resources": [thing]}


def things(headers):
    """One thing, which tells who asks, in whose name."""
    spec = {"user": headers["X-Remote-User"], "groups": headers.get_all("X-Remote-Group")}
    thing = {"apiVersion": f"{GROUP}/v1", "kind": "Thing", "metadata": {"name": "only"}, "spec": spec}
    return {"kind": "ThingList", "apiVersion": f"{GROUP}/v1", "metadata": {}, "items": [thing]}


REVIEWS = {"/validate": validate, "/mutate": mutate, "/convert": convert}
DOCUMENTS = {f"/apis/{GROUP}/v1": resources, f"/apis/{GROUP}/v1/things": things, "/healthz": lambda _headers: {}}


class Handler(http.server.BaseHTTPRequestHandler):
    """Reviews in, reviews out; and documents."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        response = {"uid": review["request"]["uid"], **REVIEWS[self.path.partition("?")[0]](review["request"])}
        self.reply(200, {"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response})

    def do_GET(self):
        document = DOCUMENTS.get(self.path.partition("?")[0])
        self.reply(200, document(self.headers)) if document else self.reply(404, {})

    def reply(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main(port, certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = http.server.ThreadingHTTPServer(("", int(port)), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
