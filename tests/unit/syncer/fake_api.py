"""An API server for tests of the engine: lists and watches with revisions, creates, deletes; and does what it is told.

It is no imitation of Kubernetes' semantics: those are tested against the real one. Its point is what the real one won't
do on command: answer 410 or 429, cut a line in two, fall silent.
"""

import asyncio
import contextlib
import itertools
import json

from aiohttp import web
from vcluster_syncer.kube.kubeconfig import Server


class FakeApi:
    def __init__(self):
        self.url = ""
        self.requests = []
        self.open_watches = 0
        self._watchers = set()
        self.undefined = set()
        """Plurals of which this server has no collection."""
        self.faults = {}
        """(method, plural, is it a watch) -> handlers; each is used once, in order."""
        self._objects = {}
        self._history = []
        self._revision = itertools.count(1)
        self._news = asyncio.Condition()
        self.revision = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls):
        api = cls()
        app = web.Application()
        app.router.add_route("*", "/api/v1/{path:.*}", api._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield api
        finally:
            await runner.cleanup()

    @property
    def server(self):
        return Server(url=self.url)

    def fail(self, method, plural, *handlers, watch=False):
        """Have the next requests of a sort answered by `handlers`, one each."""
        self.faults.setdefault((method, plural, watch), []).extend(handlers)

    async def put(self, plural, name, namespace="default", kind="Widget", **fields):
        """Add or change an object."""
        before = self._objects.get((plural, namespace, name))
        self.revision = next(self._revision)
        uid = before["metadata"]["uid"] if before else f"uid-{self.revision}"
        metadata = {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": str(self.revision)}
        metadata |= fields.pop("metadata", {})
        obj = {"apiVersion": "v1", "kind": kind, "metadata": metadata, **fields}
        self._objects[plural, namespace, name] = obj
        await self._tell(plural, "MODIFIED" if before else "ADDED", obj)
        return obj

    async def drop(self, plural, name, namespace="default"):
        obj = self._objects.pop((plural, namespace, name))
        self.revision = next(self._revision)
        gone = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.revision)}}
        await self._tell(plural, "DELETED", gone)
        return obj

    def end_watches(self):
        """Cut the connections of all watches there are."""
        for transport in self._watchers:
            transport.abort()

    def find(self, plural, name, namespace="default"):
        return self._objects.get((plural, namespace, name))

    def names(self, plural):
        return sorted(name for (there, _, name) in self._objects if there == plural)

    async def _tell(self, plural, type_, obj):
        self._history.append((self.revision, plural, {"type": type_, "object": obj}))
        async with self._news:
            self._news.notify_all()

    async def _serve(self, request):
        parts = request.match_info["path"].split("/")
        namespace = ""
        if parts[0] == "namespaces" and len(parts) > 2:
            namespace, parts = parts[1], parts[2:]
        plural, name = parts[0], parts[1] if len(parts) > 1 else ""
        is_watch = request.query.get("watch") == "1"
        self.requests.append((request.method, request.path_qs))
        if plural in self.undefined:
            return status(404, "NotFound", "the server could not find the requested resource")
        waiting = self.faults.get((request.method, plural, is_watch))
        if waiting:
            return await waiting.pop(0)(request)
        match request.method, bool(name):
            case "GET", False:
                return await self._watch(request, plural) if is_watch else self._list(plural, namespace)
            case "GET", True:
                return _json(self.find(plural, name, namespace), missing=name)
            case "POST", False:
                return await self._create(request, plural, namespace)
            case "DELETE", True:
                if not self.find(plural, name, namespace):
                    return status(404, "NotFound", name)
                await self.drop(plural, name, namespace)
                return _json({"kind": "Status", "status": "Success"})
        return status(405, "MethodNotAllowed", request.path)

    def _list(self, plural, namespace):
        items = [obj for (there, ns, _), obj in self._objects.items() if there == plural and namespace in ("", ns)]
        return _json({"kind": "List", "metadata": {"resourceVersion": str(self.revision)}, "items": items})

    async def _create(self, request, plural, namespace):
        obj = await request.json()
        name = obj["metadata"]["name"]
        if self.find(plural, name, namespace):
            return status(409, "AlreadyExists", name)
        metadata = obj.pop("metadata")
        return _json(await self.put(plural, namespace=namespace, name=name, **_fields(obj), metadata=metadata), 201)

    async def _watch(self, request, plural):
        response = web.StreamResponse()
        await response.prepare(request)
        since = int(request.query["resourceVersion"])
        self.open_watches += 1
        self._watchers.add(request.transport)
        seen = 0
        try:
            while True:
                while seen < len(self._history):
                    revision, there, event = self._history[seen]
                    seen += 1
                    if revision > since and there == plural:
                        await response.write(json.dumps(event).encode() + b"\n")
                async with self._news:
                    while seen == len(self._history):
                        await self._news.wait()
        finally:
            self.open_watches -= 1
            self._watchers.discard(request.transport)


def _fields(obj):
    return {name: value for name, value in obj.items() if name != "apiVersion"}


def _json(body, code=200, *, missing=""):
    return status(404, "NotFound", missing) if body is None else web.json_response(body, status=code)


def status(code, reason, message="", *, headers=None, **details):
    body = {
        "kind": "Status",
        "status": "Failure",
        "reason": reason,
        "message": message,
        "code": code,
        "details": details,
    }
    return web.json_response(body, status=code, headers=headers)


def answering(*arguments, **keywords):
    """A handler that answers with a failure."""

    async def handler(_request):
        return status(*arguments, **keywords)

    return handler


def streaming(*pieces, then=None):
    """A handler of a watch that sends `pieces` (bytes, or events as dicts), awaits `then`, and ends."""

    async def handler(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece if isinstance(piece, bytes) else json.dumps(piece).encode() + b"\n")
        if then is not None:
            await then(request)
        return response

    return handler


async def eventually(check, seconds=20.0):
    """Wait until `check()` is something, and return it."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        seen = check()
        if seen:
            return seen
        assert asyncio.get_running_loop().time() < deadline, f"last seen: {seen!r}"
        await asyncio.sleep(0.001)
