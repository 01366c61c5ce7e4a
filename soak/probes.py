"""What a cluster answers to requests that change nothing: most of them dry runs.

Objects may all be as they were while a server still remembers others: an address that is taken, a role that grants, a
webhook that is asked, a quota that counts. The one rule: each answer is compared with that of a fresh cluster, in words
that any cluster would use.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from pytest_vcluster.cluster.rest import Rest
from pytest_vcluster.comparison.differing import fields
from pytest_vcluster.errors import ApiError
from soak.access import ServiceRange
from soak.kinds import KINDS
from soak.model import SERVICE_ADDRESS
from soak.moves.access import GROUPS, USERS
from soak.moves.definitions import GROUPS as CUSTOM_GROUPS
from soak.moves.definitions import PLURALS

_IP = re.compile(r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9.])")
# The volume that a ServiceAccount's token is mounted by has a name by chance.
_TOKEN_VOLUME = re.compile(r"kube-api-access-[a-z0-9]{5}")
_OF_THE_MOMENT = frozenset({"uid", "creationTimestamp", "managedFields", "resourceVersion"})
_CHOSEN = frozenset({"clusterIP", "clusterIPs", "nodePort", "healthCheckNodePort"})
_DRY = {"dryRun": "All"}

Answers = Mapping[str, Any]
"""Probe -> the object that was answered, or the error in words."""
Probe = Callable[[Rest, ServiceRange], Any]


def ask(rest: Rest) -> Answers:
    """Have all probes answered."""
    own = ServiceRange.of(rest)
    answers = json.dumps({name: probe(rest, own) for name, probe in PROBES.items()})
    anyones: dict[str, Any] = json.loads(_IP.sub(lambda match: own.place(match[0]), answers))
    return anyones


def differences(expected: Answers, found: Answers) -> list[str]:
    """One line for each place in which answers differ."""
    lines: list[str] = []
    for name, answer in expected.items():
        other = found.get(name)
        if isinstance(answer, Mapping) and isinstance(other, Mapping):
            lines += fields(answer, other, f"probe {name}: ")
        elif answer != other:
            lines.append(f"probe {name}: {_told(answer)} expected, {_told(other)} found")
    return lines


def _told(answer: object) -> str:
    return answer if isinstance(answer, str) else "an object"


def _answer(rest: Rest, method: str, path: str, body: object, query: Mapping[str, str]) -> Any:
    try:
        return _settled(rest.call(method, path, query=query, body=body))
    except ApiError as error:
        return str(error)


def _settled(value: Any) -> Any:
    """An object without what the server chose just now."""
    if isinstance(value, dict):
        left_out = _OF_THE_MOMENT | _CHOSEN
        return {name: _settled(each) for name, each in value.items() if name not in left_out}
    if isinstance(value, list):
        return [_settled(each) for each in value]
    return _TOKEN_VOLUME.sub("kube-api-access", value) if isinstance(value, str) else value


def _creation(plural: str, parts: Mapping[str, object], *, namespace: str = "default", name: str = "probe") -> Probe:
    kind = KINDS[plural]

    def probe(rest: Rest, own: ServiceRange) -> Any:
        metadata = {"name": name, **({"namespace": namespace} if kind.namespaced else {})}
        text = json.dumps({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **parts})
        for place in (10, 77):
            text = text.replace(SERVICE_ADDRESS % place, own.address(place))
        path = kind.path(namespace=namespace if kind.namespaced else "")
        return _answer(rest, "POST", path, json.loads(text), _DRY)

    return probe


def _permission(user: str, groups: tuple[str, ...], verb: str, group: str, resource: str) -> Probe:
    attributes = {"namespace": "default", "verb": verb, "group": group, "resource": resource}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "groups": list(groups), "resourceAttributes": attributes},
    }
    return lambda rest, own: _answer(rest, "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body, {})


def _reading(path: str) -> Probe:
    return lambda rest, own: _answer(rest, "GET", path, None, {})


def _service(**spec: object) -> Mapping[str, object]:
    return {"spec": {"ports": [{"port": 80}], **spec}}


_CONTAINERS = {"containers": [{"name": "main", "image": "nginx"}]}
_LABELS = {"app": "probe"}
_TEMPLATE = {"metadata": {"labels": _LABELS}, "spec": _CONTAINERS}
_CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def _definition(group: str, plural: str) -> Probe:
    names = {"plural": plural, "kind": plural[:-1].title()}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
    return _creation("customresourcedefinitions", {"spec": spec}, name=f"{plural}.{group}")


PROBES: Mapping[str, Probe] = {
    "a ConfigMap": _creation("configmaps", {"data": {"a": "b"}}),
    "a ConfigMap in kube-system": _creation("configmaps", {"data": {"a": "b"}}, namespace="kube-system"),
    "a Secret": _creation("secrets", {"stringData": {"a": "b"}}),
    "a namespace": _creation("namespaces", {}),
    "a pod": _creation("pods", {"spec": _CONTAINERS}),
    "a privileged pod": _creation(
        "pods", {"spec": {"hostNetwork": True, **_CONTAINERS, "priorityClassName": "system-node-critical"}}
    ),
    "a Deployment": _creation("deployments", {"spec": {"selector": {"matchLabels": _LABELS}, "template": _TEMPLATE}}),
    "a Service": _creation("services", _service()),
    "a Service at an address": _creation("services", _service(clusterIP=SERVICE_ADDRESS % 77)),
    "a Service at a low address": _creation("services", _service(clusterIP=SERVICE_ADDRESS % 10)),
    "a Service in another range": _creation("services", _service(clusterIP="10.200.0.9")),
    "a NodePort": _creation("services", _service(type="NodePort", ports=[{"port": 80, "nodePort": 30080}])),
    "the last NodePort": _creation("services", _service(type="NodePort", ports=[{"port": 80, "nodePort": 32767}])),
    "an Ingress": _creation(
        "ingresses", {"spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 1}}}}}
    ),
    "a claim": _creation("persistentvolumeclaims", {"spec": _CLAIM}),
    "a PriorityClass that is the default": _creation("priorityclasses", {"value": 1, "globalDefault": True}),
    "a ClusterRole": _creation("clusterroles", {"rules": []}),
    "a custom object that nobody defined": _reading("/apis/example.org/v1/widgets"),
    **{
        f"a definition of {plural}.{group}": _definition(group, plural) for group in CUSTOM_GROUPS for plural in PLURALS
    },
    **{
        f"may {user} {verb} {resource}": _permission(user, (), verb, group, resource)
        for user in (*USERS, "system:serviceaccount:default:default")
        for verb, group, resource in (("get", "", "configmaps"), ("create", "apps", "deployments"), ("*", "*", "*"))
    },
    **{f"may members of {group} list secrets": _permission("eve", (group,), "list", "", "secrets") for group in GROUPS},
}
