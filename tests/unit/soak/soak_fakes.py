"""An access that records what it is asked for, and answers as it is told."""

import threading

from pytest_vcluster.controlplane.http import Unreachable


class FakeRest:
    def __init__(self, access):
        self._access = access

    def call(self, method, path, **more):
        if path.endswith("/servicecidrs/kubernetes"):
            return {"spec": {"cidrs": ["10.100.128.0/20"]}}
        if self._access.cut.is_set():
            raise Unreachable("gone")
        self._access.asked.append((method, path, more.get("body")))
        return self._access.answer(method, path)

    def watch(self, path, *, query, timeout):
        self._access.asked.append(("WATCH", path, None))
        yield {"type": "ADDED", "object": {}}
        self._access.cut.wait(timeout)


class FakeAccess:
    def __init__(self, answer=lambda method, path: {}):
        self.answer = answer
        self.asked = []
        self.cut = threading.Event()
        self.closed = False

    def open(self):
        return FakeRest(self)

    def close(self):
        self.closed = True
