"""Which rights on a host a run needs, and which of them it has not.

The one rule: what is needed is read from what will be made, so it can't be forgotten: to make an object is one right,
and whoever makes a Role must have the rights in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_vcluster.controlplane.http import Client
from pytest_vcluster.errors import HostError
from pytest_vcluster.hosts.in_cluster import objects

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_ALWAYS = (
    # The Service of a cluster is its life; the pod is looked after; the Lease is the run's sign of life.
    ("", "services", ("delete", "list")),
    ("", "pods", ("get", "list")),
    ("", "events", ("list",)),
    ("coordination.k8s.io", "leases", ("create", "delete", "list", "patch")),
)
_WITHOUT_NODE_PORTS = ("", "pods/portforward", ("get",))


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """To do one thing to one kind of resource, all of them or the one of a name."""

    group: str
    resource: str
    verb: str
    name: str = ""
    everywhere: bool = False
    """In all namespaces, or for what has none."""

    def __str__(self) -> str:
        of = f"{self.resource}.{self.group}" if self.group else self.resource
        named = f" {self.name!r}" if self.name else ""
        return f"{self.verb} {of}{named}{' in the whole cluster' if self.everywhere else ''}"


def needed(rendered: Sequence[objects.Object], *, forwarded: bool) -> list[Right]:
    """All rights that making `rendered` and using it takes, each once."""
    return sorted(set(_needed(rendered, forwarded=forwarded)))


def _needed(rendered: Sequence[objects.Object], *, forwarded: bool) -> Iterator[Right]:
    for group, resource, verbs in (*_ALWAYS, *((_WITHOUT_NODE_PORTS,) if forwarded else ())):
        yield from (Right(group, resource, verb) for verb in verbs)
    yield Right("", "secrets", "create")
    for found in rendered:
        base, plural = objects.resource_of(found["kind"])
        group = base.removeprefix("/apis/").partition("/")[0] if base.startswith("/apis/") else ""
        everywhere = found["kind"] in objects.CLUSTER_SCOPED
        yield Right(group, plural, "create", everywhere=everywhere)
        if everywhere:
            yield Right(group, plural, "delete", everywhere=True)
        if found["kind"] in ("Role", "ClusterRole"):
            yield from _held(found["rules"], everywhere=everywhere)


def _held(rules: Iterable[Mapping[str, Any]], *, everywhere: bool) -> Iterator[Right]:
    for rule in rules:
        for group in rule.get("apiGroups", ()):
            for resource in rule.get("resources", ()):
                for verb in rule["verbs"]:
                    for name in rule.get("resourceNames") or ("",):
                        yield Right(group, resource, verb, name, everywhere)


def missing(client: Client, namespace: str, rights: Sequence[Right]) -> list[Right]:
    """Those of `rights` that the host says we have not; blocks for a request each."""
    return [
        right for right in rights if not client.call("POST", _REVIEWS, review(right, namespace))["status"]["allowed"]
    ]


def review(right: Right, namespace: str) -> dict[str, object]:
    """The question whether we have a right."""
    resource, _, part = right.resource.partition("/")
    attributes = {
        "group": right.group,
        "resource": resource,
        "subresource": part,
        "verb": right.verb,
        "name": right.name,
        "namespace": "" if right.everywhere else namespace,
    }
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {name: value for name, value in attributes.items() if value}},
    }


def refusal(lacking: Sequence[Right], *, where: str, namespace: str) -> HostError:
    """The error for rights that are missing."""
    lines = "\n".join(f"  {right}" for right in lacking)
    return HostError(
        f"The user of {where} lacks {len(lacking)} rights in namespace {namespace}:\n{lines}\n"
        "Checked: each by a SelfSubjectAccessReview, before anything was made. Have them granted by a Role and a "
        "RoleBinding there, or name another namespace by --vcluster-namespace."
    )
