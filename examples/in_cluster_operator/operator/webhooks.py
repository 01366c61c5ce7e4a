"""What the API server asks: may this Greeting be, and what is it in another version."""

import http.server
import json
import ssl
import threading


def serve(port, *, certificate, key):
    """Answer until the server that is returned is shut down."""
    server = http.server.ThreadingHTTPServer(("", port), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def validate(request):
    """Refuse a Greeting that greets nobody in particular."""
    if request["object"]["spec"]["who"].lower() in ("", "anybody"):
        return {"allowed": False, "status": {"code": 422, "message": "spec.who: greet somebody in particular"}}
    return {"allowed": True}


def convert(request):
    """v1alpha1 has one text, `Hello, world`; v1 has the word and whom it is for."""
    wanted = request["desiredAPIVersion"]
    objects = [{**each, "apiVersion": wanted, "spec": spec_in(wanted, each["spec"])} for each in request["objects"]]
    return {"result": {"status": "Success"}, "convertedObjects": objects}


def spec_in(version, spec):
    if version.endswith("/v1alpha1") and "text" not in spec:
        return {"text": f"{spec['word']}, {spec['who']}"}
    if version.endswith("/v1") and "text" in spec:
        word, _, who = spec["text"].partition(", ")
        return {"word": word, "who": who}
    return spec


ANSWERS = {"/validate": validate, "/convert": convert}


class Handler(http.server.BaseHTTPRequestHandler):
    """Reviews in, reviews out."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.reply({})

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = ANSWERS[self.path.partition("?")[0]](review["request"])
        answer["uid"] = review["request"]["uid"]
        self.reply({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": answer})

    def reply(self, document):
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
