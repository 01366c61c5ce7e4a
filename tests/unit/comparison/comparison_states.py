"""A small cluster as a state, made anew with its own UIDs, addresses, certificates and times for every number."""

import copy
import hashlib
from typing import Any

from pytest_vcluster.comparison import ApiState, Schemas

FIELDS = {"f:data": {}}


def uid(number: int, which: int) -> str:
    return f"{number:08d}-0000-4000-8000-{which:012d}"


def pem(text: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"


def metadata(number: int, which: int, name: str, namespace: str = "", **more: Any) -> dict[str, Any]:
    entry = {
        "manager": "kube-apiserver",
        "operation": "Update",
        "apiVersion": "v1",
        "fieldsV1": copy.deepcopy(FIELDS),
        "time": f"2026-01-01T00:00:{number % 60:02d}Z",
    }
    return {
        "name": name,
        **({"namespace": namespace} if namespace else {}),
        "uid": uid(number, which),
        "resourceVersion": str(1000 * number + which),
        "creationTimestamp": f"2026-01-01T00:00:{number % 60:02d}Z",
        "managedFields": [entry],
        **more,
    }


def trust_bundle(number: int, certificate: str) -> dict[str, Any]:
    name = f"kubernetes.io:server:{hashlib.sha256(certificate.encode()).hexdigest()[:24]}"
    return {name: {"metadata": metadata(number, 8, name), "spec": {"trustBundle": certificate}}}


def node(number: int, which: int, name: str) -> dict[str, Any]:
    cidr, address = f"10.128.{number % 100 + which}.0/24", f"10.0.{number % 100}.{which}"
    made = metadata(number, 10 + which, name)
    made["managedFields"][0]["fieldsV1"] = {"f:spec": {"f:podCIDRs": {f'v:"{cidr}"': {}}}}
    moment = f"2026-01-01T00:01:{number % 60:02d}Z"
    return {
        "metadata": made,
        "spec": {"podCIDR": cidr, "podCIDRs": [cidr]},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": name},
                {"type": "Kubelet", "address": f"127.1.{number % 100}.1"},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250 + number}},
            "conditions": [
                {"type": "Ready", "status": "True", "lastHeartbeatTime": moment, "lastTransitionTime": moment}
            ],
        },
    }


def cluster(number: int = 1) -> ApiState:
    """A new state each time: a test may change anything in it."""
    second = 100 + number % 28
    ip = f"10.{second}.128.1"
    certificate = pem(f"servers of {number}")
    parent = {"apiVersion": "v1", "kind": "Service", "name": "kubernetes", "uid": uid(number, 1)}
    authentication = {"client-ca-file": pem(f"clients of {number}"), "requestheader-allowed-names": '["front"]'}
    role = {
        "metadata": metadata(number, 6, "admin"),
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}],
    }
    return ApiState(
        objects={
            "services": {
                "default/kubernetes": {
                    "metadata": metadata(number, 1, "kubernetes", "default"),
                    "spec": {"clusterIP": ip, "clusterIPs": [ip], "ports": [{"name": "https", "port": 443}]},
                }
            },
            "ipaddresses.networking.k8s.io": {
                ip: {"metadata": metadata(number, 2, ip, ownerReferences=[parent]), "spec": {"parentRef": {}}}
            },
            "servicecidrs.networking.k8s.io": {
                "kubernetes": {
                    "metadata": metadata(number, 3, "kubernetes"),
                    "spec": {"cidrs": [f"10.{second}.128.0/20"]},
                }
            },
            "configmaps": {
                **{
                    f"{namespace}/kube-root-ca.crt": {
                        "metadata": metadata(number, which, "kube-root-ca.crt", namespace),
                        "data": {"ca.crt": certificate},
                    }
                    for which, namespace in ((4, "default"), (5, "kube-system"))
                },
                "kube-system/extension-apiserver-authentication": {
                    "metadata": metadata(number, 7, "extension-apiserver-authentication", "kube-system"),
                    "data": authentication,
                },
            },
            "clusterroles.rbac.authorization.k8s.io": {"admin": role},
            "clustertrustbundles.certificates.k8s.io": trust_bundle(number, certificate),
            "nodes": {f"node-{which}": node(number, which, f"node-{which}") for which in (1, 2)},
            "pods": {},
        },
        discovery={
            "/api": {"versions": ["v1"], "serverAddressByClientCIDRs": [{"serverAddress": f"192.0.2.{number}:6443"}]},
            "/apis": {"groups": [{"name": "apps"}, {"name": "batch"}]},
            "/apis (aggregated)": {
                "items": [
                    {
                        "metadata": {"name": "apps", "creationTimestamp": None},
                        "versions": [{"version": "v1", "resources": [{"resource": "deployments", "verbs": ["list"]}]}],
                    }
                ]
            },
        },
        schemas={"apis/apps/v1": Schemas(hash="A1", parts={"path /a": "1", "schema B": "2"})},
    )
