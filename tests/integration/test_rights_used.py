"""The rights that the syncer asks for are those it uses, all of them and no others, by the host's audit log.

The host grants what `--host-rules` prints, which other tests hold to be what the chart grants, and nothing else.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pod_case import ACCOUNT, LEASE, NAMESPACE, Door, Host, Pod, host, pod, until
from two_api_servers import free_ports
from vcluster_syncer.translate import KINDS

pytestmark = pytest.mark.timeout(400)

Grant = tuple[str, str, str]
"""Group, resource and verb."""
SYNCER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "users": [SYNCER]}, {"level": "None"}],
}
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
ALWAYS = {"annotations": {"vcluster-syncer/sync": "always"}}
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
GATEWAY_API = "gateway.networking.k8s.io"
OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
EDGE = {"name": "http", "port": 80, "protocol": "HTTP"}

CARRIED: dict[str, dict[str, Any]] = {
    "/api/v1/configmaps": {"metadata": ALWAYS, "data": {"a": "b"}},
    "/api/v1/secrets": {"metadata": ALWAYS, "stringData": {"a": "b"}},
    "/api/v1/services": {"spec": {"ports": [{"port": 80}]}},
    "/api/v1/pods": {
        "spec": {"containers": [{"name": "main", "image": "app:1"}], "automountServiceAccountToken": False}
    },
    "/api/v1/persistentvolumeclaims": {
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    },
    "/api/v1/serviceaccounts": {},
    "/apis/discovery.k8s.io/v1/endpointslices": {
        "metadata": {"labels": {"kubernetes.io/service-name": "always"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.1.1"]}],
    },
    "/apis/networking.k8s.io/v1/ingresses": {
        "spec": {"defaultBackend": {"service": {"name": "always", "port": {"number": 80}}}}
    },
    "/apis/networking.k8s.io/v1/networkpolicies": {"spec": {"podSelector": {}}},
    "/apis/policy/v1/poddisruptionbudgets": {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}},
    "/apis/scheduling.k8s.io/v1/priorityclasses": {"value": 7},
    "/apis/resource.k8s.io/v1/resourceclaims": {
        "spec": {"devices": {"requests": [{"name": "one", "exactly": {"deviceClassName": "shiny"}}]}}
    },
    f"/apis/{GATEWAY_API}/v1/gateways": {
        "apiVersion": f"{GATEWAY_API}/v1",
        "kind": "Gateway",
        "spec": {"gatewayClassName": "shiny", "listeners": [EDGE]},
    },
    f"/apis/{GATEWAY_API}/v1/httproutes": {
        "apiVersion": f"{GATEWAY_API}/v1",
        "kind": "HTTPRoute",
        "spec": {"parentRefs": [{"name": "x"}], "rules": []},
    },
    f"/apis/{GATEWAY_API}/v1/grpcroutes": {
        "apiVersion": f"{GATEWAY_API}/v1",
        "kind": "GRPCRoute",
        "spec": {"parentRefs": [{"name": "x"}], "rules": []},
    },
    f"/apis/{GATEWAY_API}/v1beta1/referencegrants": {
        "apiVersion": f"{GATEWAY_API}/v1beta1",
        "kind": "ReferenceGrant",
        "spec": {"from": [], "to": []},
    },
}
"""The collections that go to the host, and an object for each."""
CLUSTER_WIDE = ("namespaces", "persistentvolumes", "priorityclasses")
APART = ("to_host.namespaces", "from_host.priority_classes", "from_host.persistent_volumes")
ALL = {
    direction: {
        name: True
        for kind in KINDS
        if kind.switch is not None and kind.switch.path not in APART
        for path, name in [kind.switch.path.split(".")]
        if path == direction
    }
    for direction in ("to_host", "from_host")
}
"""Everything that can be on at once."""


def of(path: str) -> tuple[str, str]:
    """Group and resource of a collection."""
    _, base, *rest = path.split("/")
    return ("" if base == "api" else rest[0]), rest[-1]


LEFT_TO_RACES = "a write that finds another object than the watch has told of yet reads that one"
SEEN_ELSEWHERE: dict[Grant, str] = {
    **{(*of(path), "get"): LEFT_TO_RACES for path in CARRIED},
    ("", "persistentvolumes", "get"): LEFT_TO_RACES,
    ("", "namespaces", "get"): LEFT_TO_RACES,
    ("coordination.k8s.io", "leases", "delete"): "the last test has it: the end of a cluster whose run is dead",
}
"""What is granted and need not be used here, and what it is for."""


@dataclass
class Audited:
    """A host that grants what was asked for and writes down what is done."""

    host: Host
    log: Path

    def requests(self) -> list[dict[str, Any]]:
        """What was asked for so far, of resources."""
        events = map(json.loads, self.log.read_text().split("\n")[:-1])
        return [event for event in events if event.get("objectRef", {}).get("resource")]

    def used(self) -> set[Grant]:
        """The rights that were made use of."""
        return {_right(event) for event in self.requests()}

    def refused(self) -> list[tuple[Grant, str]]:
        """The rights that were lacking, and what they were for."""
        return [
            (_right(event), event["requestURI"])
            for event in self.requests()
            if event["annotations"].get("authorization.k8s.io/decision") != "allow"
        ]

    def is_allowed(self, rule: Mapping[str, Any], *, namespace: str) -> bool:
        """Whether the syncer may do what comes first in a rule."""
        [group, *_], [resource, *_], [verb, *_] = rule["apiGroups"], rule["resources"], rule["verbs"]
        plural, _, part = resource.partition("/")
        asked = {"group": group, "resource": plural, "subresource": part, "verb": verb, "namespace": namespace}
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"]
        body = {"spec": {"user": SYNCER, "groups": groups, "resourceAttributes": asked}}
        return bool(self.host.api.call("POST", REVIEWS, body)["status"]["allowed"])

    def await_use_of(self, rights: Set[Grant]) -> None:
        """Wait until these were made use of: the log is written after the answer."""
        with contextlib.suppress(AssertionError):
            until(lambda: rights <= self.used(), seconds=30)
        assert rights - self.used() == set()

    def renew(self) -> None:
        """Show that somebody wants the cluster."""
        beat = {"spec": {"renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}}
        self.host.api.call("PATCH", f"{LEASES}/{LEASE}", beat, kind=MERGE)

    def grant(self, made: Pod) -> set[Grant]:
        """Grant what the pod's configuration needs, and nothing else; returns it."""
        config = made.directory / "asked.json"
        config.write_text(json.dumps(made.configuration))
        command = [sys.executable, "-m", "vcluster_syncer", "--config", str(config), "--host-rules"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        rules = json.loads(done.stdout)
        for kind, found, where in (
            ("Role", rules["role"], f"namespaces/{NAMESPACE}/"),
            ("ClusterRole", rules["clusterRole"], ""),
        ):
            name, plural = made.name, f"{kind.lower()}s"
            subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
            reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
            self.host.api.call("POST", f"{RBAC}/{where}{plural}", {"metadata": {"name": name}, "rules": found})
            binding = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
            self.host.api.call("POST", f"{RBAC}/{where}{kind.lower()}bindings", binding)
            for rule in found[:1]:
                # The host's authorizer learns of it a moment later.
                until(lambda rule=rule, where=where: self.is_allowed(rule, namespace=NAMESPACE if where else ""))
        every = (*rules["role"], *rules["clusterRole"])
        return {
            right for rule in every for right in itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"])
        }


def _right(event: Mapping[str, Any]) -> Grant:
    about = event["objectRef"]
    part = f"/{about['subresource']}" if "subresource" in about else ""
    return about.get("apiGroup", ""), f"{about['resource']}{part}", event["verb"]


@pytest.fixture
def audited() -> Iterator[Audited]:
    # Unix sockets have short paths; pytest's own temporary folders do not.
    with tempfile.TemporaryDirectory(prefix="p", dir="/tmp") as directory:
        policy, log = Path(directory, "policy.json"), Path(directory, "audit.log")
        policy.write_text(json.dumps(POLICY))
        # The virtual cluster's addresses are some of the host's.
        arguments = ["--service-cluster-ip-range=10.100.0.0/16", "--authorization-mode=RBAC"]
        arguments += [f"--audit-policy-file={policy}", f"--audit-log-path={log}"]
        with host(Path(directory), arguments=arguments) as made:
            define_gateway_api(made.api)
            lease = {"metadata": {"name": LEASE}, "spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}}
            made.api.call("POST", LEASES, lease)
            yield Audited(made, log)


def define_gateway_api(server: Door) -> None:
    """Install the Gateway API, as open as can be: its schemas are not what this is about."""
    kinds = {"gatewayclasses": "GatewayClass", "gateways": "Gateway", "httproutes": "HTTPRoute"}
    for plural, kind in {**kinds, "grpcroutes": "GRPCRoute", "referencegrants": "ReferenceGrant"}.items():
        schema = {"type": "object", "properties": {"spec": OPEN, "status": OPEN}}
        version = {
            "name": "v1beta1" if plural == "referencegrants" else "v1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": schema},
            "subresources": {"status": {}},
        }
        metadata = {
            "name": f"{plural}.{GATEWAY_API}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        }
        spec = {
            "group": GATEWAY_API,
            "scope": "Cluster" if plural == "gatewayclasses" else "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [version],
        }
        definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        server.call("POST", definitions, {"metadata": metadata, "spec": spec})
        served = f"/apis/{GATEWAY_API}/{version['name']}/{plural}"
        until(lambda served=served: server.ask("GET", served)[0] == 200)


@contextlib.contextmanager
def cluster(
    audited: Audited, port: int, sync: Mapping[str, Any], *, silent: float = 3600, **tenant: Any
) -> Iterator[tuple[Pod, set[Grant]]]:
    """A virtual cluster whose syncer has the rights that it asked for, and a gateway at `port`.

    Once it is healthy nobody renews its Lease; after `silent` seconds it ends.
    """
    with tempfile.TemporaryDirectory(prefix="p", dir="/tmp") as directory:
        files = {"certificate": "admin.crt", "key": "admin.key", "client_authority": "admin-ca.crt"}
        gateway = {
            "address": "127.0.0.1",
            "port": port,
            **{name: f"{directory}/{file}" for name, file in files.items()},
        }
        heartbeat = {"lease": LEASE, "seconds": silent}
        part = {"tenant": {**tenant, "gateway": gateway}}
        with pod(Path(directory), audited.host, heartbeat=heartbeat, sync=sync, **part) as made:
            granted = audited.grant(made)
            made.start_all()

            def is_healthy() -> bool:
                audited.renew()
                return made.is_healthy()

            until(is_healthy)
            accounts = place_of("/api/v1/serviceaccounts", "default")
            made.virtual.call("POST", accounts, {"metadata": {"name": "default"}})
            yield made, granted


def place_of(path: str, namespace: str) -> str:
    """A collection, in a namespace if its objects are in one."""
    base, _, plural = path.rpartition("/")
    return path if plural in CLUSTER_WIDE else f"{base}/namespaces/{namespace}/{plural}"


def on_host(made: Pod, path: str, name: str = "it") -> dict[str, Any] | None:
    """The host's object for a virtual one, but for one that is on its way out."""
    labels = f"labelSelector=vcluster-syncer/tenant%3D{made.name}"
    for item in made.host.api.call("GET", f"{place_of(path, NAMESPACE)}?{labels}")["items"]:
        metadata = item["metadata"]
        if metadata["annotations"]["vcluster-syncer/name"] == name and "deletionTimestamp" not in metadata:
            return dict(item)
    return None


def carry(made: Pod, path: str, body: Mapping[str, Any]) -> None:
    """Have an object carried, changed and deleted."""
    collection = place_of(path, "default")
    made.virtual.call("POST", collection, {**body, "metadata": {**body.get("metadata", {}), "name": "it"}})
    until(lambda: on_host(made, path))
    # Nobody is here who would take a finalizer off.
    change = {"metadata": {"labels": {"changed": "yes"}, "finalizers": None}}
    made.virtual.call("PATCH", f"{collection}/it", change, kind=MERGE)
    until(lambda: (on_host(made, path) or {})["metadata"]["labels"].get("changed") == "yes")
    made.virtual.call("DELETE", f"{collection}/it?gracePeriodSeconds=0")
    until(lambda: on_host(made, path) is None)


def decide_about_a_volume(made: Pod) -> None:
    """Have the user of a claim change what becomes of its volume, and delete that."""
    claims, volumes = "/api/v1/persistentvolumeclaims", "/api/v1/persistentvolumes"
    collection = place_of(claims, "default")
    made.virtual.call("POST", collection, {"metadata": {"name": "kept"}, **CARRIED[claims]})
    until(lambda: on_host(made, claims, "kept"))
    claim = on_host(made, claims, "kept")
    assert claim is not None
    there = f"{place_of(claims, NAMESPACE)}/{claim['metadata']['name']}"
    reference = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": NAMESPACE}
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
        "claimRef": {**reference, "name": claim["metadata"]["name"], "uid": claim["metadata"]["uid"]},
        "persistentVolumeReclaimPolicy": "Delete",
        "hostPath": {"path": "/nowhere"},
    }
    host = made.host.api
    host.call("POST", volumes, {"metadata": {"name": "theirs"}, "spec": spec})
    host.call("PATCH", f"{volumes}/theirs/status", {"status": {"phase": "Bound"}}, kind=MERGE)
    annotations = {"pv.kubernetes.io/bind-completed": "yes"}
    change = {"metadata": {"annotations": annotations}, "spec": {"volumeName": "theirs"}}
    host.call("PATCH", there, change, kind=MERGE)
    bound = {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
    host.call("PATCH", f"{there}/status", {"status": bound}, kind=MERGE)
    [shown] = until(lambda: made.virtual.call("GET", volumes)["items"])
    mine = f"{volumes}/{shown['metadata']['name']}"
    made.virtual.call("PATCH", mine, {"spec": {"persistentVolumeReclaimPolicy": "Retain"}}, kind=MERGE)
    until(lambda: host.call("GET", f"{volumes}/theirs")["spec"]["persistentVolumeReclaimPolicy"] == "Retain")
    for server, path in ((made.virtual, f"{collection}/kept"), (host, there)):
        server.call("PATCH", path, {"metadata": {"finalizers": None}}, kind=MERGE)
    made.virtual.call("DELETE", f"{collection}/kept")
    until(lambda: host.ask("GET", there)[0] == 404)
    host.call("PATCH", f"{volumes}/theirs/status", {"status": {"phase": "Released"}}, kind=MERGE)
    until(lambda: made.virtual.call("GET", mine)["status"]["phase"] == "Released")
    made.virtual.call("PATCH", mine, {"metadata": {"finalizers": None}}, kind=MERGE)
    made.virtual.call("DELETE", mine)
    until(
        lambda: "deletionTimestamp" in host.ask("GET", f"{volumes}/theirs")[1].get("metadata", {"deletionTimestamp": 0})
    )


def use_a_pod(made: Pod, port: int) -> None:
    """Have a pod that runs told about, changed in whatever way there is, and entered."""
    pods = "/api/v1/pods"
    collection = place_of(pods, "default")
    small = {"requests": {"cpu": "100m"}}
    spec = {
        **CARRIED[pods]["spec"],
        "containers": [{"name": "main", "image": "app:1", "resources": small}],
        "readinessGates": [{"conditionType": "example.org/fine"}],
    }
    body = {"metadata": {"name": "it"}, "spec": spec}
    room = {"cpu": "8", "memory": "8Gi", "pods": "110"}
    node = {"metadata": {"name": "node-1"}, "status": {"capacity": room, "allocatable": room}}
    made.host.api.call("POST", "/api/v1/nodes", node)
    made.virtual.call("POST", collection, body)
    until(lambda: on_host(made, pods))
    found = on_host(made, pods)
    assert found is not None
    name, host = found["metadata"]["name"], made.host.api
    there = f"{place_of(pods, NAMESPACE)}/{name}"
    target = {"apiVersion": "v1", "kind": "Node", "name": "node-1"}
    host.call(
        "POST",
        f"{there}/binding",
        {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target},
    )
    running = {"state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}, "ready": True, "restartCount": 0}
    main = {"name": "main", "image": "app:1", "imageID": "", "resources": small, **running}
    status = {"phase": "Running", "containerStatuses": [main]}
    host.call("PATCH", f"{there}/status", {"status": status}, kind=MERGE)
    mine = f"{collection}/it"
    until(lambda: made.virtual.call("GET", mine)["status"]["phase"] == "Running")
    debug = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "app:1"}]}}
    made.virtual.call("PATCH", f"{mine}/ephemeralcontainers", debug, kind=STRATEGIC)
    until(lambda: on_host(made, pods)["spec"].get("ephemeralContainers"))
    large = {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "200m"}}}]}}
    made.virtual.call("PATCH", f"{mine}/resize", large, kind=STRATEGIC)
    until(lambda: on_host(made, pods)["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "200m")
    fine = {"status": {"conditions": [{"type": "example.org/fine", "status": "True"}]}}
    made.virtual.call("PATCH", f"{mine}/status", fine, kind=STRATEGIC)
    until(lambda: any(each["type"] == "example.org/fine" for each in on_host(made, pods)["status"]["conditions"]))
    enter(made, port)


def enter(made: Pod, port: int) -> None:
    """Ask the gateway for whatever a kubelet can be asked for; there is none behind it, so it is all refused."""
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "a"}
    asked = [("GET", "/containerLogs/default/it/main", {})]
    for path in (
        "/exec/default/it/main?command=id&output=1",
        "/attach/default/it/main?output=1",
        "/portForward/default/it",
    ):
        asked += [("GET", path, upgrade), ("POST", path, {**upgrade, "Upgrade": "SPDY/3.1"})]
    for method, path, headers in asked:
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=made.admin.tls, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers)
            connection.getresponse().read()


def test_of_what_is_granted_all_is_used_and_nothing_else_is_asked_for(audited: Audited) -> None:
    with free_ports(1) as [port], cluster(audited, port, ALL) as (made, granted):
        define_gateway_api(made.virtual)
        services = place_of("/api/v1/services", "default")
        made.virtual.call("POST", services, {"metadata": {"name": "always"}, "spec": {"ports": [{"port": 80}]}})
        for path, body in CARRIED.items():
            carry(made, path, body)
        decide_about_a_volume(made)
        use_a_pod(made, port)
        audited.await_use_of(granted - SEEN_ELSEWHERE.keys())
        assert audited.used() <= granted
        assert audited.refused() == []


def test_so_it_is_where_there_is_a_host_namespace_for_each(audited: Audited) -> None:
    spaces, switches = {"mode": "each", "pattern": "{tenant}-{namespace}"}, {"to_host": {"namespaces": True}}
    with free_ports(1) as [port], cluster(audited, port, switches, namespaces=spaces) as (made, granted):
        path, host = "/api/v1/namespaces", made.host.api
        made.virtual.call("POST", path, {"metadata": {"name": "it"}})
        until(lambda: on_host(made, path))
        name = on_host(made, path)["metadata"]["name"]
        host.call("PATCH", f"{path}/{name}", {"metadata": {"annotations": {"vcluster-syncer/uid": None}}}, kind=MERGE)
        until(lambda: on_host(made, path)["metadata"]["annotations"].get("vcluster-syncer/uid"))
        made.virtual.call("DELETE", f"{path}/it")
        gone = made.virtual.call("GET", f"{path}/it")
        made.virtual.call("PUT", f"{path}/it/finalize", {**gone, "spec": {}})
        until(lambda: on_host(made, path) is None)
        wanted = {right for right in granted if right[:2] == ("", "namespaces")}
        audited.await_use_of(wanted - SEEN_ELSEWHERE.keys())
        assert audited.used() <= granted
        assert audited.refused() == []


def test_so_it_is_at_the_end_of_a_cluster_that_nobody_wants_any_more(audited: Audited) -> None:
    with free_ports(1) as [port], cluster(audited, port, {}, silent=10) as (made, granted):
        owner = f"{place_of('/api/v1/services', NAMESPACE)}/{made.name}"
        until(lambda: made.host.api.ask("GET", owner)[0] == 404)
        assert made.host.api.ask("GET", f"{LEASES}/{LEASE}")[0] == 404
        ended = {("coordination.k8s.io", "leases", verb) for verb in ("delete", "get")} | {("", "services", "delete")}
        audited.await_use_of(ended)
        assert audited.used() <= granted
        assert audited.refused() == []
