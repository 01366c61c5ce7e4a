"""Two worlds in memory, a virtual and a host cluster, for the pure half of the syncer.

It does with actions what API servers would do as far as these tests look: it stores, merges patches, checks uids,
counts versions. The real API servers are in the integration tests.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Sequence
from typing import Any

from vcluster_syncer.model import (
    CONFIGMAPS,
    NAMESPACES,
    NODES,
    PODS,
    SECRETS,
    SERVICES,
    Action,
    Bind,
    CreateHost,
    CreateVirtual,
    DeleteHost,
    DeleteVirtual,
    Key,
    Kind,
    Later,
    Object,
    PatchHost,
    PatchVirtual,
    Reference,
    Refuse,
    RequestToken,
    Resource,
    Tenant,
    Token,
    TokenRequest,
    UpdateVirtualStatus,
)
from vcluster_syncer.naming import host_namespace_of
from vcluster_syncer.switches import selected
from vcluster_syncer.translate import KINDS


def tenant(name: str = "vc-a1", **changes: Any) -> Tenant:
    return Tenant(
        **{
            "name": name,
            "host_namespace": f"{name}-ns",
            "kubernetes_service_ip": "10.96.4.1",
            "dns_service_ip": "10.96.4.10",
            **changes,
        }
    )


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


class Worlds:
    """Both sides of one tenant; is a `World` for its kinds."""

    def __init__(self, of: Tenant | None = None, *, on: Iterable[str] = (), off: Iterable[str] = ()) -> None:
        """`on` are the switches to turn on, besides those that are by default, `off` those to turn off."""
        self.tenant = of or tenant()
        chosen = dict.fromkeys(on, True) | dict.fromkeys(off, False)
        self.kinds = {kind.resource: kind for kind in selected(KINDS, chosen)}
        self.now = 1_000_000.0
        self.here: dict[tuple[Resource, Key], dict[str, Any]] = {}
        self.there: dict[tuple[Resource, str], dict[str, Any]] = {}
        self.elsewhere: dict[tuple[Resource, str, str], dict[str, Any]] = {}
        self.tokens: dict[TokenRequest, Token] = {}
        self.requested: list[TokenRequest] = []
        self.refused: list[Refuse] = []
        self._count = 0
        self.put(NAMESPACES, "", "default")

    # World

    def kind(self, resource: Resource) -> Kind | None:
        return self.kinds.get(resource)

    def virtual(self, resource: Resource, key: Key) -> Object | None:
        return self.here.get((resource, key))

    def virtual_list(self, resource: Resource, namespace: str | None = None) -> Iterable[Object]:
        return [
            item for (kind, key), item in self.here.items() if kind == resource and namespace in {None, key.namespace}
        ]

    def host(self, resource: Resource, key: Key, *, owner: Resource | None = None) -> Object | None:
        kind = self.kinds[owner or resource]
        for (stored, _), item in self.there.items():
            if stored == resource and kind.host_key(item, self.tenant) == key:
                return item
        return None

    def host_named(self, resource: Resource, name: str) -> Object | None:
        return self.there.get((resource, name))

    def imported(self, resource: Resource, namespace: str, name: str) -> Object | None:
        return self.elsewhere.get((resource, namespace, name))

    def imported_list(self, resource: Resource, namespace: str) -> Iterable[Object]:
        return [item for (kind, space, _), item in self.elsewhere.items() if (kind, space) == (resource, namespace)]

    def users(self, resource: Resource, key: Key) -> Iterable[Reference]:
        for kind in self.kinds.values():
            for item in self.virtual_list(kind.resource):
                if (resource, key) in kind.references(item):
                    own = item["metadata"]
                    yield kind.resource, Key(own.get("namespace", ""), own["name"])

    def token(self, request: TokenRequest) -> Token | None:
        return self.tokens.get(request)

    # Filling

    def _new(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}-{self._count}"

    def put(self, resource: Resource, namespace: str, name: str, **fields: Any) -> dict[str, Any]:
        """Let a user of the virtual cluster create an object."""
        metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **fields.pop("metadata", {})}
        item = {"metadata": {"uid": self._new("v"), "resourceVersion": self._new("1"), "generation": 1, **metadata}}
        self.here[resource, Key(namespace, name)] = item | fields
        return self.here[resource, Key(namespace, name)]

    def put_host(self, resource: Resource, name: str, **fields: Any) -> dict[str, Any]:
        """Let somebody else create an object on the host."""
        metadata = {"name": name, "uid": self._new("h"), **fields.pop("metadata", {})}
        if resource.namespaced:
            metadata.setdefault("namespace", self.tenant.host_namespace)
        self.there[resource, name] = {"metadata": metadata} | fields
        return self.there[resource, name]

    def node(self, name: str = "node-1", **fields: Any) -> str:
        """Add a node of this tenant to the host, mirror it, return its host name."""
        own = {"kubernetes.io/hostname": name}
        metadata: dict[str, Any] = {"labels": own}
        host_name = name
        if self.tenant.private_nodes:
            host_name = f"{self.tenant.name}-{name}"
            metadata = {
                "labels": {**own, self.tenant.node_label: self.tenant.name},
                "annotations": {"vcluster-syncer/name": name},
            }
        metadata = merge(metadata, fields.pop("metadata", {}))
        self.put_host(NODES, host_name, metadata=metadata, **{"spec": {}, "status": {}, **fields})
        self.settle(NODES, Key("", name))
        return host_name

    # Doing

    def look(self, resource: Resource, key: Key) -> Sequence[Action]:
        """Ask the kind once, and make sure it left alone what it was shown."""
        kind = self.kinds[resource]
        virtual = self.here.get((resource, key)) if kind.watch_virtual else None
        host = self.host(resource, key) if kind.watch_host else None
        before = copy.deepcopy((self.here, self.there))
        actions = kind.reconcile(key, virtual, host, self)
        assert (self.here, self.there) == before, "an input was mutated"
        return actions

    def settle(self, resource: Resource, key: Key) -> Sequence[Action]:
        """Look and do until nothing is left to do but wait; return what remains to be said."""
        for _ in range(12):
            actions = self.look(resource, key)
            if all(isinstance(action, Later | Refuse) for action in actions):
                self.refused += [action for action in actions if isinstance(action, Refuse)]
                return actions
            for action in actions:
                self.do(action)
        raise AssertionError(f"{resource.kind} {key} never comes to rest: {actions}")

    def do(self, action: Action) -> None:
        match action:
            case CreateHost(resource, item):
                name = item["metadata"]["name"]
                noted = item["metadata"]["annotations"]
                origin = noted.get("vcluster-syncer/exported", "")
                space = noted.get("vcluster-syncer/namespace", origin.partition("/")[0])
                there = host_namespace_of(self.tenant, space) if resource.namespaced else ""
                assert item["metadata"].get("namespace", "") == there
                assert (resource, name) not in self.there, f"{name} exists already"
                self.there[resource, name] = self._stored(item, "h")
            case PatchHost(resource, name, uid, patch):
                self.there[resource, name] = self._patched(self.there[resource, name], uid, patch)
            case DeleteHost(resource, name, uid, grace):
                assert self.there[resource, name]["metadata"]["uid"] == uid
                if self._vanishes(resource, self.there[resource, name], grace):
                    del self.there[resource, name]
            case CreateVirtual(resource, item):
                own = item["metadata"]
                key = Key(own.get("namespace", ""), own["name"])
                assert (resource, key) not in self.here
                self.here[resource, key] = self._stored(item, "v")
            case PatchVirtual(resource, key, uid, patch):
                self.here[resource, key] = self._patched(self.here[resource, key], uid, patch)
            case UpdateVirtualStatus(resource, item):
                own = item["metadata"]
                key = Key(own.get("namespace", ""), own["name"])
                assert own["resourceVersion"] == self.here[resource, key]["metadata"]["resourceVersion"]
                self.here[resource, key]["status"] = json.loads(json.dumps(item["status"]))
                self.here[resource, key]["metadata"]["resourceVersion"] = self._new("1")
            case DeleteVirtual(resource, key, uid, grace):
                assert self.here[resource, key]["metadata"]["uid"] == uid
                if self._vanishes(resource, self.here[resource, key], grace):
                    del self.here[resource, key]
            case Bind(key, uid, node):
                # A binding is no change of the spec in the API server's counting.
                assert self.here[PODS, key]["metadata"]["uid"] == uid
                self.here[PODS, key]["spec"]["nodeName"] = node
                self.here[PODS, key]["metadata"]["resourceVersion"] = self._new("1")
            case RequestToken(request):
                self.requested.append(request)
                life = request.expiration_seconds
                value = f"token-{len(self.requested)}"
                self.tokens[request] = Token(value=value, issued=self.now, expires=self.now + life)
            case Refuse():
                self.refused.append(action)
            case Later():
                pass

    def _stored(self, item: Object, prefix: str) -> dict[str, Any]:
        stored: dict[str, Any] = json.loads(json.dumps(item))
        if item["kind"] == PODS.kind:
            stored["status"] = {"phase": "Pending", "qosClass": "BestEffort"}
        stored["metadata"].update(uid=self._new(prefix), resourceVersion=self._new("1"), generation=1)
        return stored

    def _patched(self, item: dict[str, Any], uid: str, patch: Object) -> dict[str, Any]:
        assert item["metadata"]["uid"] == uid
        merged: dict[str, Any] = merge(copy.deepcopy(item), json.loads(json.dumps(patch)))
        merged["metadata"]["resourceVersion"] = self._new("1")
        if merged.get("spec") != item.get("spec"):
            merged["metadata"]["generation"] = item["metadata"].get("generation", 0) + 1
        # In place, so that a test may hold on to an object while it changes.
        item.clear()
        item.update(merged)
        return item

    def _vanishes(self, resource: Resource, item: dict[str, Any], grace: int | None) -> bool:
        granted = grace if grace is not None else 30
        if resource != PODS or granted == 0 or not item["spec"].get("nodeName"):
            return True
        item["metadata"].update(deletionTimestamp="2026-11-21T10:00:00Z", deletionGracePeriodSeconds=granted)
        return False


def pod(worlds: Worlds, name: str = "web", namespace: str = "default", **spec: Any) -> dict[str, Any]:
    """Let a user create a pod, as the virtual API server would store it."""
    if (NAMESPACES, Key("", namespace)) not in worlds.here:
        worlds.put(NAMESPACES, "", namespace)
    metadata = spec.pop("metadata", {})
    return worlds.put(
        PODS,
        namespace,
        name,
        metadata=metadata,
        spec={
            "serviceAccountName": "default",
            "containers": [{"name": "main", "image": "app:1"}],
            "terminationGracePeriodSeconds": 30,
            **spec,
        },
        status={"phase": "Pending", "qosClass": "BestEffort"},
    )


def host_pod(worlds: Worlds, name: str = "web", namespace: str = "default") -> dict[str, Any]:
    """The host pod of a virtual one, settled."""
    worlds.settle(PODS, Key(namespace, name))
    found = worlds.host(PODS, Key(namespace, name))
    assert found is not None
    return found  # type: ignore[return-value]


def run_on_host(worlds: Worlds, node: str, name: str = "web", namespace: str = "default", **status: Any) -> None:
    """Let the host schedule a pod and run it."""
    found = host_pod(worlds, name, namespace)
    found["spec"]["nodeName"] = node
    found["status"] = {
        "phase": "Running",
        "startTime": "2026-11-21T09:00:00Z",
        "qosClass": "Burstable",
        "podIP": "10.1.0.7",
        "hostIP": "10.2.0.1",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": container["name"], "ready": True} for container in found["spec"]["containers"]],
        **status,
    }


__all__ = ["CONFIGMAPS", "SECRETS", "SERVICES", "Worlds", "host_pod", "merge", "pod", "run_on_host", "tenant"]
