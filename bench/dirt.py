"""Makes a cluster dirty, in the ways that `cases` names, and waits until the cluster has taken it in.

The one rule: synchronous, and through the API but for ConfigMaps in masses. Those are written straight into the data
store, one at a time, byte for byte what the API server stores but for name and uid: it takes them for its own, and
10 000 are there in seconds instead of a minute.
"""

from __future__ import annotations

import base64
import contextlib
import time
import uuid
from collections.abc import Callable
from typing import Any

from bench.cases import Case
from bench.model import NotMeasured
from bench.suites import objects
from pytest_vcluster.controlplane.datastore import Datastore
from pytest_vcluster.controlplane.http import Client
from pytest_vcluster.controlplane.plane import ControlPlane
from pytest_vcluster.errors import ApiError

_CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_RIGHTS = "/apis/rbac.authorization.k8s.io/v1/namespaces"
_STORED = "configmaps/default/"
_PATIENCE_SECONDS = 90.0
_POLL_SECONDS = 0.02
# Controllers and the syncer read what is new, at several thousand objects a second.
_SETTLE_SECONDS, _SETTLE_SECONDS_EACH = 0.3, 1 / 5000


class Dirt:
    """What makes one cluster dirty. Make it before the baseline is taken."""

    def __init__(self, plane: ControlPlane) -> None:
        self._client: Client = plane.api()
        self._store = Client.over_unix(plane.settings.etcd_socket)
        self._prefix = plane.settings.etcd_prefix
        self._name, self._uid, self._bytes = self._stored_config_map(plane)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._store.close()

    def make(self, case: Case) -> None:
        """Leave what the test of `case` leaves."""
        self.config_maps(case.config_maps)
        self.definitions(case.definitions, resources=3)
        for number in range(case.namespaces):
            self._namespace(f"bench-{number}")
        if case.pods:
            self._pods(case.pods)
        time.sleep(_SETTLE_SECONDS + case.config_maps * _SETTLE_SECONDS_EACH)

    def config_maps(self, count: int, *, mark: str = "a") -> None:
        """Write so many ConfigMaps; `mark`, a letter, tells these from others."""
        revision = ""
        for number in range(count):
            put = dict(zip(("key", "value"), self._copy(f"{mark}{number:07}"), strict=True))
            revision = self._store.call("POST", "/v3/kv/put", put)["header"]["revision"]
        if revision:
            query = f"limit=1&resourceVersion={revision}&resourceVersionMatch=NotOlderThan"
            self._client.call("GET", f"{_CONFIG_MAPS}?{query}")

    def definitions(self, count: int, *, resources: int = 0, kind: str = "Widget") -> None:
        """Make so many definitions, with custom resources of each."""
        for number in range(count):
            self._client.call("POST", _DEFINITIONS, objects.definition(f"{kind}{number}"))
        for number in range(count):
            plural = f"{kind}{number}s".lower()
            collection = f"/apis/{objects.GROUP}/v1/namespaces/default/{plural}"
            self._until(lambda path=collection: self._client.call("GET", path), f"{plural} to be served")  # type: ignore[misc]
            for name in (f"one-{each}" for each in range(resources)):
                resource = {**objects.widget(name), "kind": f"{kind}{number}"}
                self._client.call("POST", collection, resource)

    def _namespace(self, name: str) -> None:
        self._client.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        group = "rbac.authorization.k8s.io"
        rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
        self._client.call("POST", f"{_RIGHTS}/{name}/roles", {"metadata": {"name": "reader"}, "rules": [rule]})
        binding = {
            "metadata": {"name": "reader"},
            "subjects": [{"kind": "User", "name": "somebody", "apiGroup": group}],
            "roleRef": {"kind": "Role", "name": "reader", "apiGroup": group},
        }
        self._client.call("POST", f"{_RIGHTS}/{name}/rolebindings", binding)
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        self._until(lambda: self._client.call("GET", account), f"the account of {name}")

    def _pods(self, count: int) -> None:
        labels = {"app": "bench"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "one", "image": "one:1"}]}}
        spec = {"replicas": count, "selector": {"matchLabels": labels}, "template": template}
        path = "/apis/apps/v1/namespaces/default/deployments"
        self._client.call("POST", path, {"metadata": {"name": "bench"}, "spec": spec})

        def available() -> dict[str, Any]:
            found = self._client.call("GET", f"{path}/bench")
            if found.get("status", {}).get("availableReplicas") != count:
                raise ApiError(str(found.get("status")), status=404, reason="", method="GET", path=path)
            return found

        self._until(available, f"{count} pods to be available")

    def _until(self, ask: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                ask()
            except ApiError as error:
                if time.monotonic() > deadline:
                    raise NotMeasured(f"waited {_PATIENCE_SECONDS:.0f} s for {what}; last seen: {error}") from error
                time.sleep(_POLL_SECONDS)
            else:
                return

    def _stored_config_map(self, plane: ControlPlane) -> tuple[str, str, bytes]:
        name = "b0000000"
        made = self._client.call("POST", _CONFIG_MAPS, objects.config_map(name, text="as any other"))
        with contextlib.closing(Datastore(plane.settings.etcd_socket)) as datastore:
            stored = datastore.read(f"{self._prefix}{_STORED}{name}")[b""]
        self._client.call("DELETE", f"{_CONFIG_MAPS}/{name}")
        return name, made["metadata"]["uid"], stored

    def _copy(self, name: str) -> tuple[str, str]:
        """Key and value as etcd's gateway takes them."""
        # Both are as long as what they replace, so the stored message stays well-formed.
        copied = self._bytes.replace(self._name.encode(), name.encode())
        copied = copied.replace(self._uid.encode(), str(uuid.uuid4()).encode())
        return _encode(f"{self._prefix}{_STORED}{name}".encode()), _encode(copied)


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
