"""Moves with the kinds that everything else stands on.

The one rule: what is made is legal, so that it is stored and not only refused.
"""

from __future__ import annotations

import base64
from typing import Any

from soak.model import Step
from soak.moves.move import Move, move
from soak.world import World

IMAGES = ("registry.example/none:1", "registry.example/none:2", "nginx")
TOLERATE_ALL = {"operator": "Exists"}


def container(world: World, name: str = "main") -> dict[str, Any]:
    """A container; nothing of it is ever run."""
    dice = world.dice
    made: dict[str, Any] = {"name": name, "image": dice.pick(IMAGES)}
    if dice.chance(0.3):
        made["resources"] = {"requests": {"cpu": f"{dice.between(1, 900)}m", "memory": f"{dice.between(1, 60)}Mi"}}
    if dice.chance(0.2):
        made["env"] = [{"name": "A", "value": dice.text(20)}, {"name": "B", "value": "$(A)"}]
    if dice.chance(0.1):
        made["ports"] = [{"containerPort": dice.between(1, 65535), "name": "http"}]
    return made


def pod_spec(world: World, **more: object) -> dict[str, Any]:
    """What a pod is to be."""
    dice = world.dice
    spec: dict[str, Any] = {"containers": [container(world)], **more}
    if dice.chance(0.1):
        spec["initContainers"] = [container(world, "first")]
    if dice.chance(0.15):
        source: dict[str, object] = dice.pick(
            ({"emptyDir": {}}, {"configMap": {"name": dice.name(), "optional": True}})
        )
        spec["volumes"] = [{"name": "data", **source}]
        spec["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    if dice.chance(0.1):
        spec["tolerations"] = [TOLERATE_ALL]
    if dice.chance(0.1):
        spec["nodeSelector"] = {"kubernetes.io/hostname": f"node-{dice.between(1, 4)}"}
    if dice.chance(0.05):
        spec["priorityClassName"] = "system-cluster-critical"
    if dice.chance(0.1):
        spec["terminationGracePeriodSeconds"] = dice.pick((0, 1, 30))
    return spec


def template(world: World, labels: dict[str, str], **more: object) -> dict[str, Any]:
    """What a controller makes pods of."""
    return {"metadata": {"labels": labels}, "spec": pod_spec(world, **more)}


@move(10)
def config_map(world: World) -> list[Step]:
    """A ConfigMap."""
    dice = world.dice
    return [world.create("configmaps", {"data": dice.data(), **dice.maybe(0.05, immutable=True)})]


@move(6)
def secret(world: World) -> list[Step]:
    """A Secret, of one type or another."""
    dice = world.dice
    value = base64.b64encode(dice.text().encode()).decode()
    if dice.chance(0.2):
        data = {"username": value, "password": value}
        return [world.create("secrets", {"type": "kubernetes.io/basic-auth", "data": data})]
    if dice.chance(0.2):
        annotations = {"annotations": {"kubernetes.io/service-account.name": "default"}}
        return [world.create("secrets", {"type": "kubernetes.io/service-account-token"}, metadata=annotations)]
    return [world.create("secrets", {"type": "Opaque", "data": {"key": value}, "stringData": dice.data()})]


@move(4)
def service_account(world: World) -> list[Step]:
    """A ServiceAccount, and perhaps a token of it."""
    dice = world.dice
    steps = [world.create("serviceaccounts", dice.maybe(0.2, automountServiceAccountToken=False))]
    if dice.chance(0.5):
        steps += token(world)
    return steps


@move(2)
def token(world: World) -> list[Step]:
    """A token of some ServiceAccount."""
    account = world.found("serviceaccounts")
    path = account.path("token") if account else "/api/v1/namespaces/default/serviceaccounts/default/token"
    spec = {"audiences": ["https://kubernetes.default.svc.cluster.local"], "expirationSeconds": 3600}
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    return [world.step("POST", path, body=request)]


@move(6)
def pod(world: World) -> list[Step]:
    """A pod of nobody's."""
    spec = pod_spec(world)
    if world.dice.chance(0.1):
        spec["schedulingGates"] = [{"name": "example.org/never"}]
    return [world.create("pods", {"spec": spec})]


@move(1)
def pod_template(world: World) -> list[Step]:
    """A PodTemplate, which nobody uses."""
    return [world.create("podtemplates", {"template": template(world, world.dice.selector())})]


@move(1)
def endpoints(world: World) -> list[Step]:
    """Endpoints by hand."""
    address = f"192.0.2.{world.dice.between(1, 250)}"
    return [world.create("endpoints", {"subsets": [{"addresses": [{"ip": address}], "ports": [{"port": 80}]}]})]


@move(2)
def event(world: World) -> list[Step]:
    """An event, as an operator reports one."""
    dice, place = world.dice, world.namespace()
    parts = {
        "involvedObject": {"kind": "Pod", "name": dice.name(), "namespace": place, "apiVersion": "v1"},
        "reason": dice.pick(("Created", "Failed")),
        "message": dice.text(),
        "type": dice.pick(("Normal", "Warning")),
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "source": {"component": "soak"},
    }
    return [world.create("events", parts, namespace=place)]


@move(3)
def limit_range(world: World) -> list[Step]:
    """A LimitRange, which changes all pods that come after it."""
    amount = f"{world.dice.between(1, 9)}Mi"
    limits = {"type": "Container", "default": {"memory": "64Mi"}, "defaultRequest": {"memory": amount}}
    return [world.create("limitranges", {"spec": {"limits": [limits]}})]


@move(4)
def resource_quota(world: World) -> list[Step]:
    """A ResourceQuota, generous or not."""
    dice = world.dice
    counted = ("pods", "configmaps", "services", "secrets", "count/jobs.batch", "requests.memory", "services.nodeports")
    hard = {name: str(dice.between(0, 30)) for name in dice.some(counted)}
    return [world.create("resourcequotas", {"spec": {"hard": hard}})]


@move(6)
def namespace(world: World) -> list[Step]:
    """A namespace, where things are put from now on."""
    name = world.dice.name()
    if name not in world.namespaces:
        world.namespaces.append(name)
    return [world.create("namespaces", {}, name=name)]


@move(3)
def namespace_left_terminating(world: World) -> list[Step]:
    """A namespace that is deleted while something in it never goes."""
    dice, name = world.dice, world.dice.name()
    stuck = {"finalizers": ["example.org/never"]}
    steps = [
        world.create("namespaces", {}, name=name),
        world.create("configmaps", {"data": dice.data()}, namespace=name, metadata=stuck),
        *(config_map(world) if dice.chance(0.5) else []),
        world.step("DELETE", f"/api/v1/namespaces/{name}"),
    ]
    if dice.chance(0.3):
        steps.append(world.create("namespaces", {}, name=name))
    return steps


@move(2)
def namespace_that_is_not_finalized(world: World) -> list[Step]:
    """A namespace with a finalizer of its own, deleted."""
    name = world.dice.name()
    made = world.create("namespaces", {"spec": {"finalizers": ["example.org/never", "kubernetes"]}}, name=name)
    return [made, world.step("DELETE", f"/api/v1/namespaces/{name}")]


@move(2)
def lease(world: World) -> list[Step]:
    """A Lease, as leader election holds it."""
    spec = {"holderIdentity": world.dice.word(), "leaseDurationSeconds": world.dice.between(1, 60)}
    return [world.create("leases", {"spec": spec})]


@move(1)
def extra_node(world: World) -> list[Step]:
    """A node that no kubelet looks after."""
    return [world.create("nodes", {"spec": {"taints": [{"key": "a", "value": "b", "effect": "NoSchedule"}]}})]


MOVES: tuple[Move, ...] = (
    config_map, secret, service_account, token, pod, pod_template, endpoints, event, limit_range, resource_quota,
    namespace, namespace_left_terminating, namespace_that_is_not_finalized, lease, extra_node,
)  # fmt: skip
