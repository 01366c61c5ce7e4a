"""Moves against what a cluster is handed out with: nobody should, and somebody does.

The one rule: whatever the API server lets an administrator do.
"""

from __future__ import annotations

from soak.model import JSON_PATCH, MERGE, Step
from soak.moves.move import Move, move
from soak.world import NAMESPACES, World, of_baseline


@move(2)
def default_service_account(world: World) -> list[Step]:
    """A namespace's default ServiceAccount: changed, or gone and made again by a controller."""
    made = of_baseline("serviceaccounts", "default", world.dice.pick(NAMESPACES))
    change = {"automountServiceAccountToken": False, "imagePullSecrets": [{"name": "none"}]}
    return [world.dice.pick((world.merge(made, change), world.delete(made)))]


@move(2)
def root_certificate(world: World) -> list[Step]:
    """A kube-root-ca.crt: changed, or gone; a controller puts it right, with another UID."""
    made = of_baseline("configmaps", "kube-root-ca.crt", world.dice.pick(NAMESPACES))
    return [world.dice.pick((world.merge(made, {"data": {"ca.crt": "none"}}), world.delete(made)))]


@move(1)
def authentication_config_map(world: World) -> list[Step]:
    """What the API server tells its extensions: gone, or changed."""
    made = of_baseline("configmaps", "extension-apiserver-authentication", "kube-system")
    return [world.dice.pick((world.merge(made, {"data": {"more": "x"}}), world.delete(made)))]


@move(3)
def kubernetes_service(world: World) -> list[Step]:
    """The Service that the API server itself is found by: changed, or gone for a while, or another one."""
    dice = world.dice
    made = of_baseline("services", "kubernetes", "default")
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default"},
        "spec": {"ports": [{"port": 80}], "selector": dice.selector()},
    }
    gone = world.step("DELETE", made.path())
    choices = (
        [world.merge(made, {"metadata": {"labels": dice.labels()}})],
        [world.merge(made, {"spec": {"type": "NodePort"}})],
        [gone],
        [gone, world.step("POST", "/api/v1/namespaces/default/services", body=body)],
    )
    return dice.pick(choices)


@move(3)
def labels_of_namespaces(world: World) -> list[Step]:
    """Labels, annotations and finalizers of namespaces that every cluster has."""
    made = of_baseline("namespaces", world.dice.pick(NAMESPACES))
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    changes: tuple[object, ...] = (
        {"metadata": {"labels": world.dice.labels()}},
        {"metadata": {"labels": enforced}},
        {"metadata": {"annotations": {"example.org/note": world.dice.text()}}},
        {"metadata": {"finalizers": ["example.org/never"]}},
    )
    return [world.merge(made, world.dice.pick(changes))]


@move(1)
def deletion_of_namespace(world: World) -> list[Step]:
    """The one system namespace that can be deleted, and those that can't."""
    return [world.step("DELETE", of_baseline("namespaces", world.dice.pick(NAMESPACES)).path())]


@move(3)
def nodes(world: World) -> list[Step]:
    """A node cordoned, tainted, labelled, with another capacity, or gone."""
    dice = world.dice
    made = of_baseline("nodes", f"node-{dice.between(1, 3)}")
    taint = {"key": "example.org/t", "value": "x", "effect": dice.pick(("NoSchedule", "NoExecute"))}
    changes: tuple[object, ...] = (
        {"spec": {"unschedulable": True}},
        {"spec": {"taints": [taint]}},
        {"metadata": {"labels": dice.labels(), "annotations": {"example.org/note": "x"}}},
    )
    steps = [world.merge(made, change) for change in dice.some(changes)]
    if dice.chance(0.2):
        steps.append(world.merge(made, {"status": {"capacity": {"example.org/gpu": "2"}}}, subresource="status"))
    if dice.chance(0.15):
        steps.append(world.delete(made))
    return steps


@move(1)
def priority_classes(world: World) -> list[Step]:
    """The system's PriorityClasses."""
    made = of_baseline("priorityclasses", world.dice.pick(("system-cluster-critical", "system-node-critical")))
    change = {"description": "soaked", "metadata": {"labels": world.dice.labels()}}
    return [world.dice.pick((world.merge(made, change), world.delete(made)))]


@move(2)
def system_api_services(world: World) -> list[Step]:
    """An APIService of a built-in group: gone, and registered again by the API server, or changed."""
    dice = world.dice
    made = of_baseline("apiservices", dice.pick(("v1.batch", "v1.apps", "v2.autoscaling", "v1.policy")))
    change = {"spec": {"versionPriority": dice.between(1, 99)}, "metadata": {"labels": dice.labels()}}
    return [dice.pick((world.delete(made), world.merge(made, change)))]


@move(1)
def service_range(world: World) -> list[Step]:
    """The range and the address that Services come from."""
    dice = world.dice
    made = of_baseline("servicecidrs", "kubernetes")
    finalizers = [{"op": "remove", "path": "/metadata/finalizers"}]
    choices = (
        [world.merge(made, {"metadata": {"labels": dice.labels()}})],
        [world.delete(made)],
        [world.delete(made), world.step("PATCH", made.path(), body=finalizers, content_type=JSON_PATCH)],
        [world.step("DELETE", "/apis/networking.k8s.io/v1/ipaddresses")],
    )
    return dice.pick(choices)


@move(2)
def collections(world: World) -> list[Step]:
    """Everything of a kind in a namespace, or in the cluster, at once."""
    path = world.dice.weighted(
        (
            "/api/v1/namespaces/default/configmaps",
            "/api/v1/namespaces/default/secrets",
            "/apis/apps/v1/namespaces/default/deployments",
            "/api/v1/namespaces/kube-system/serviceaccounts",
            "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/roles",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
        ),
        (6, 3, 3, 1, 1, 1, 1, 2, 2),
    )
    return [world.step("DELETE", path)]


@move(1)
def finalizers_of_system_objects(world: World) -> list[Step]:
    """A system's object that is deleted and never goes."""
    plural, name, place = world.dice.pick(
        (
            ("clusterroles", "edit", ""),
            ("configmaps", "kube-root-ca.crt", "default"),
            ("serviceaccounts", "default", "default"),
            ("services", "kubernetes", "default"),
            ("prioritylevelconfigurations", "workload-low", ""),
        )
    )
    made = of_baseline(plural, name, place)
    change = {"metadata": {"finalizers": ["example.org/never"]}}
    return [
        world.step("PATCH", made.path(), body=change, content_type=MERGE),
        world.step("DELETE", made.path()),
    ]


MOVES: tuple[Move, ...] = (
    default_service_account, root_certificate, authentication_config_map, kubernetes_service, labels_of_namespaces,
    deletion_of_namespace, nodes, priority_classes, system_api_services, service_range, collections,
    finalizers_of_system_objects,
)  # fmt: skip
