"""Moves with who may do what.

The one rule: users, groups and verbs come from a few, and `probes` asks what they may do: nothing, in a new cluster.
"""

from __future__ import annotations

import base64
from typing import Any

from soak.model import APPLY, JSON_PATCH, Step
from soak.moves.move import Move, move
from soak.world import World, of_baseline, selector

USERS = ("alice", "bob")
GROUPS = ("soakers", "system:authenticated", "system:serviceaccounts:default")
BASELINE_ROLES = ("admin", "edit", "view", "cluster-admin", "system:discovery", "system:basic-user", "system:node")
_GROUP = "rbac.authorization.k8s.io"
# Of alice, member of soakers; the key belongs to nobody. What it would take to make one each time is seconds.
_REQUEST = b"""-----BEGIN CERTIFICATE REQUEST-----
MIHeMIGEAgEAMCIxEDAOBgNVBAoMB3NvYWtlcnMxDjAMBgNVBAMMBWFsaWNlMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEoF8sVciejmevJ30q0QVpm+bsdFr/KL2R
WSYtjg9NGN+bFJITAS4gBcQ5/crnpx4oeewZMuKd1mOgv53BSSj47KAAMAoGCCqG
SM49BAMCA0kAMEYCIQDbRnGqGzcXI+7hG3hsxYKKsHvw0siQu1chUJZiIEgtzQIh
AOc5KK9i4frrn2lAnnc3N+CE85Ck+37a8/beKOCmIZqv
-----END CERTIFICATE REQUEST-----
"""


def _rules(world: World) -> list[dict[str, Any]]:
    dice = world.dice
    group, resources = dice.pick(
        (
            ("", ["configmaps", "secrets"]),
            ("", ["pods", "pods/log"]),
            ("apps", ["deployments"]),
            ("example.org", ["*"]),
            ("*", ["*"]),
        )
    )
    verbs: list[str] = dice.pick((["get", "list", "watch"], ["create", "delete"], ["*"]))
    return [{"apiGroups": [group], "resources": resources, "verbs": verbs}]


def _binding(world: World, role_kind: str, role: str) -> dict[str, object]:
    dice = world.dice
    user = {"apiGroup": _GROUP, "kind": "User", "name": dice.pick(USERS)}
    group = {"apiGroup": _GROUP, "kind": "Group", "name": dice.pick(GROUPS)}
    account = {"kind": "ServiceAccount", "name": "default", "namespace": "default"}
    reference = {"apiGroup": _GROUP, "kind": role_kind, "name": role}
    return {"roleRef": reference, "subjects": dice.some((user, group, account))}


@move(3)
def role(world: World) -> list[Step]:
    """A Role, and who has it."""
    place = world.namespace()
    made = world.create("roles", {"rules": _rules(world)}, namespace=place)
    name = world.made[-1].name
    return [made, world.create("rolebindings", _binding(world, "Role", name), namespace=place)]


@move(3)
def cluster_role(world: World) -> list[Step]:
    """A ClusterRole, and who has it."""
    made = world.create("clusterroles", {"rules": _rules(world)})
    return [made, world.create("clusterrolebindings", _binding(world, "ClusterRole", world.made[-1].name))]


@move(2)
def more_for_all(world: World) -> list[Step]:
    """One of the system's roles for whoever there is."""
    bound = _binding(world, "ClusterRole", world.dice.pick(BASELINE_ROLES))
    return [world.create(world.dice.pick(("clusterrolebindings", "rolebindings")), bound)]


@move(3)
def aggregated_role(world: World) -> list[Step]:
    """A ClusterRole that a controller adds to others: to a system's, or to one of the lease's own."""
    dice = world.dice
    to = dice.pick(("admin", "edit", "view"))
    label = {"labels": {f"rbac.authorization.k8s.io/aggregate-to-{to}": "true"}}
    steps = [world.create("clusterroles", {"rules": _rules(world)}, metadata=label)]
    if dice.chance(0.4):
        rule = {"clusterRoleSelectors": [selector(label["labels"])]}
        steps.append(world.create("clusterroles", {"aggregationRule": rule, "rules": []}))
    return steps


@move(3)
def change_of_system_role(world: World) -> list[Step]:
    """Rules of a role that every cluster has: added to, replaced, or taken over by server-side apply."""
    made = of_baseline("clusterroles", world.dice.pick(BASELINE_ROLES))
    rules = _rules(world)
    added = [{"op": "add", "path": "/rules/-", "value": rules[0]}]
    applied = {
        "apiVersion": made.kind.api_version,
        "kind": "ClusterRole",
        "metadata": {"name": made.name, "labels": {"example.org/mark": "x"}},
        "rules": rules,
    }
    choices = (
        world.step("PATCH", made.path(), body=added, content_type=JSON_PATCH),
        world.merge(made, {"rules": rules}),
        world.step(
            "PATCH", made.path(), query={"fieldManager": "helm", "force": "true"}, body=applied, content_type=APPLY
        ),
        world.merge(made, {"metadata": {"labels": {"example.org/mark": "x", "kubernetes.io/bootstrapping": None}}}),
    )
    return world.dice.some(choices, high=2)


@move(2)
def certificate_request(world: World) -> list[Step]:
    """A CertificateSigningRequest: signed if it is approved, or denied, or left alone."""
    dice = world.dice
    spec = {
        "request": base64.b64encode(_REQUEST).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
        **dice.maybe(0.3, expirationSeconds=3600),
    }
    steps = [world.create("certificatesigningrequests", {"spec": spec})]
    if dice.chance(0.7):
        kind = dice.pick(("Approved", "Approved", "Denied"))
        condition = {"type": kind, "status": "True", "reason": "Soaked", "message": dice.text()}
        steps.append(world.merge(world.made[-1], {"status": {"conditions": [condition]}}, subresource="approval"))
    return steps


MOVES: tuple[Move, ...] = (
    role, cluster_role, more_for_all, aggregated_role, change_of_system_role, certificate_request,
)  # fmt: skip
