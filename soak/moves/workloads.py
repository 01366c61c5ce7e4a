"""Moves with what makes pods: none of it is waited for, so a lease mostly ends in the middle of a roll-out.

The one rule: few replicas; it is the controllers that are to be kept busy, not the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from soak.model import MERGE, STRATEGIC, Step
from soak.moves.core import container, pod_spec, template
from soak.moves.move import Move, move
from soak.world import World, selector

_SCALABLE = ("deployments", "replicasets", "statefulsets", "replicationcontrollers")
_WITH_STATUS = (
    "pods",
    "deployments",
    "daemonsets",
    "jobs",
    "services",
    "persistentvolumeclaims",
    "namespaces",
    "nodes",
)


def _replicated(world: World, **more: object) -> dict[str, Any]:
    labels = world.dice.selector()
    replicas = world.dice.between(0, 4)
    return {"spec": {"replicas": replicas, "selector": selector(labels), "template": template(world, labels), **more}}


@move(7)
def deployment(world: World) -> list[Step]:
    """A Deployment, and mostly a change of it at once."""
    dice = world.dice
    more: Mapping[str, object] = dice.pick(
        ({}, {"strategy": {"type": "Recreate"}}, {"paused": True}, {"revisionHistoryLimit": 1})
    )
    steps = [world.create("deployments", _replicated(world, **more))]
    made = world.made[-1]
    if dice.chance(0.5):
        change = {"spec": {"template": {"metadata": {"annotations": {"example.org/rolled": dice.word()}}}}}
        steps.append(world.merge(made, change))
    if dice.chance(0.3):
        steps.append(world.merge(made, {"spec": {"replicas": dice.between(0, 5)}}))
    return steps


@move(3)
def stateful_set(world: World) -> list[Step]:
    """A StatefulSet, with or without claims."""
    dice = world.dice
    more: dict[str, object] = {"serviceName": dice.name()}
    if dice.chance(0.5):
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        more["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": claim}]
    if dice.chance(0.3):
        more["podManagementPolicy"] = "Parallel"
    return [world.create("statefulsets", _replicated(world, **more))]


@move(3)
def daemon_set(world: World) -> list[Step]:
    """A DaemonSet."""
    labels = world.dice.selector()
    return [world.create("daemonsets", {"spec": {"selector": selector(labels), "template": template(world, labels)}})]


@move(2)
def replica_set(world: World) -> list[Step]:
    """A ReplicaSet of nobody's."""
    return [world.create("replicasets", _replicated(world))]


@move(1)
def replication_controller(world: World) -> list[Step]:
    """A ReplicationController."""
    labels = world.dice.selector()
    spec = {"replicas": world.dice.between(0, 2), "selector": labels, "template": template(world, labels)}
    return [world.create("replicationcontrollers", {"spec": spec})]


def _job_spec(world: World) -> dict[str, Any]:
    dice = world.dice
    return {
        "completions": dice.between(1, 3),
        "parallelism": dice.between(0, 2),
        **dice.maybe(0.3, ttlSecondsAfterFinished=dice.between(0, 2)),
        **dice.maybe(0.2, suspend=True),
        **dice.maybe(0.2, completionMode="Indexed"),
        "template": {"spec": pod_spec(world, restartPolicy=dice.pick(("Never", "OnFailure")))},
    }


@move(4)
def job(world: World) -> list[Step]:
    """A Job."""
    return [world.create("jobs", {"spec": _job_spec(world)})]


@move(3)
def cron_job(world: World) -> list[Step]:
    """A CronJob that is due every minute, or never."""
    dice = world.dice
    spec = {
        "schedule": dice.pick(("* * * * *", "0 0 29 2 *", "@hourly")),
        "concurrencyPolicy": dice.pick(("Allow", "Forbid", "Replace")),
        **dice.maybe(0.2, suspend=True),
        "jobTemplate": {"spec": _job_spec(world)},
    }
    return [world.create("cronjobs", {"spec": spec})]


@move(1)
def controller_revision(world: World) -> list[Step]:
    """A ControllerRevision by hand."""
    return [world.create("controllerrevisions", {"revision": world.dice.between(1, 99), "data": world.dice.labels()})]


@move(2)
def autoscaler(world: World) -> list[Step]:
    """A HorizontalPodAutoscaler, which lacks metrics."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": world.dice.name()}
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": world.dice.between(1, 99)}},
    }
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": world.dice.between(1, 4), "metrics": [metric]}
    return [world.create("horizontalpodautoscalers", {"spec": spec})]


@move(2)
def disruption_budget(world: World) -> list[Step]:
    """A PodDisruptionBudget."""
    spec = {"minAvailable": world.dice.pick((0, 1, "50%")), "selector": selector(world.dice.selector())}
    return [world.create("poddisruptionbudgets", {"spec": spec})]


@move(3)
def scale(world: World) -> list[Step]:
    """Another number of replicas, by the subresource."""
    made = world.found(*_SCALABLE)
    if made is None:
        return deployment(world)
    change = {"spec": {"replicas": world.dice.between(0, 5)}}
    return [world.step("PATCH", made.path("scale"), body=change, content_type=MERGE)]


@move(3)
def status(world: World) -> list[Step]:
    """A status written by somebody whose business it is not."""
    dice = world.dice
    made = world.found(*_WITH_STATUS)
    if made is None:
        return pod_life(world)
    condition = {
        "type": "example.org/Seen",
        "status": dice.pick(("True", "False")),
        "reason": "Soaked",
        "message": dice.text(),
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    return [world.merge(made, {"status": {"conditions": [condition]}}, subresource="status")]


@move(3)
def pod_life(world: World) -> list[Step]:
    """What happens to a pod: bound to a node by hand, evicted, resized, given an ephemeral container."""
    dice = world.dice
    steps = [world.create("pods", {"spec": pod_spec(world)})]
    made = world.made[-1]
    name = {"name": made.name, "namespace": made.namespace}
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": name,
        "target": {"apiVersion": "v1", "kind": "Node", "name": f"node-{dice.between(1, 4)}"},
    }
    debugger = {"spec": {"ephemeralContainers": [container(world, "debugger")]}}
    debugger["spec"]["ephemeralContainers"][0] = {"name": "debugger", "image": "nginx"}
    choices = (
        world.step("POST", made.path("binding"), body=binding),
        world.step("PATCH", made.path("ephemeralcontainers"), body=debugger, content_type=STRATEGIC),
        world.step(
            "POST", made.path("eviction"), body={"apiVersion": "policy/v1", "kind": "Eviction", "metadata": name}
        ),
        world.delete(made),
    )
    return steps + dice.some(choices)


MOVES: tuple[Move, ...] = (
    deployment, stateful_set, daemon_set, replica_set, replication_controller, job, cron_job, controller_revision,
    autoscaler, disruption_budget, scale, status, pod_life,
)  # fmt: skip
