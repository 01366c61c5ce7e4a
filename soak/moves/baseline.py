"""Moves against what a cluster is handed out with: nobody should, and somebody does.

The one rule: whatever the API server lets an administrator do.
"""

from __future__ import annotations

from collections.abc import Sequence

from soak.model import JSON_PATCH, MERGE, Step
from soak.moves.move import Move, move
from soak.world import NAMESPACES, World, of_baseline

_SYSTEM_OBJECTS: tuple[tuple[str, Sequence[str], Sequence[str]], ...] = (
    ("serviceaccounts", ("default",), NAMESPACES),
    ("configmaps", ("kube-root-ca.crt",), NAMESPACES),
    ("configmaps", ("extension-apiserver-authentication",), ("kube-system",)),
    ("services", ("kubernetes",), ("default",)),
    ("namespaces", ("kube-node-lease", "kube-public"), ("",)),
    ("nodes", ("node-1", "node-2", "node-3"), ("",)),
    ("clusterroles", ("view", "system:aggregate-to-edit", "system:controller:job-controller"), ("",)),
    ("clusterrolebindings", ("system:discovery", "system:basic-user"), ("",)),
    ("apiservices", ("v1.batch", "v1.apps", "v2.autoscaling", "v1.policy"), ("",)),
    ("flowschemas", ("global-default", "catch-all", "service-accounts"), ("",)),
)


@move(2)
def default_service_account(world: World) -> list[Step]:
    """A namespace's default ServiceAccount changed."""
    made = of_baseline("serviceaccounts", "default", world.dice.pick(NAMESPACES))
    change = {"automountServiceAccountToken": False, "imagePullSecrets": [{"name": "none"}]}
    return [world.merge(made, change)]


@move(2)
def root_certificate(world: World) -> list[Step]:
    """A kube-root-ca.crt changed; a controller puts it right."""
    made = of_baseline("configmaps", "kube-root-ca.crt", world.dice.pick(NAMESPACES))
    return [world.merge(made, {"data": {"ca.crt": "none"}})]


@move(1)
def authentication_config_map(world: World) -> list[Step]:
    """What the API server tells its extensions changed."""
    made = of_baseline("configmaps", "extension-apiserver-authentication", "kube-system")
    return [world.merge(made, {"data": {"more": "x"}})]


@move(3)
def kubernetes_service(world: World) -> list[Step]:
    """The Service that the API server itself is found by changed."""
    made = of_baseline("services", "kubernetes", "default")
    changes: tuple[object, ...] = (
        {"metadata": {"labels": world.dice.labels()}},
        {"spec": {"type": "NodePort"}},
        {"spec": {"selector": world.dice.selector()}},
    )
    return [world.merge(made, change) for change in world.dice.some(changes)]


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


@move(3)
def nodes(world: World) -> list[Step]:
    """A node cordoned, tainted, labelled, with another capacity."""
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
    return steps


@move(1)
def priority_classes(world: World) -> list[Step]:
    """The system's PriorityClasses."""
    made = of_baseline("priorityclasses", world.dice.pick(("system-cluster-critical", "system-node-critical")))
    change = {"description": "soaked", "metadata": {"labels": world.dice.labels()}}
    return [world.dice.pick((world.merge(made, change), world.delete(made)))]


@move(2)
def system_api_services(world: World) -> list[Step]:
    """An APIService of a built-in group changed."""
    dice = world.dice
    made = of_baseline("apiservices", dice.pick(("v1.batch", "v1.apps", "v2.autoscaling", "v1.policy")))
    return [
        world.merge(made, {"spec": {"versionPriority": dice.between(1, 99)}, "metadata": {"labels": dice.labels()}})
    ]


@move(1)
def service_range(world: World) -> list[Step]:
    """The range that Services come from, labelled."""
    return [world.merge(of_baseline("servicecidrs", "kubernetes"), {"metadata": {"labels": world.dice.labels()}})]


@move(2)
def collections(world: World) -> list[Step]:
    """Everything of a kind at once, of which a new cluster has nothing."""
    path = world.dice.pick(
        (
            "/api/v1/namespaces/default/secrets",
            "/api/v1/namespaces/default/pods",
            "/apis/apps/v1/namespaces/default/deployments",
            "/apis/batch/v1/namespaces/default/jobs",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
        )
    )
    return [world.step("DELETE", path)]


@move(3, rough=True)
def collections_of_the_system(world: World) -> list[Step]:
    """Everything of a kind at once, the system's own included."""
    path = world.dice.pick(
        (
            "/api/v1/namespaces/default/configmaps",
            "/api/v1/namespaces/kube-system/serviceaccounts",
            "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/roles",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas",
            "/apis/networking.k8s.io/v1/ipaddresses",
        )
    )
    return [world.step("DELETE", path)]


@move(12, rough=True)
def deletion_of_system_object(world: World) -> list[Step]:
    """One of the system's objects gone; some are made again by a controller, with another UID."""
    dice = world.dice
    plural, names, places = dice.pick(_SYSTEM_OBJECTS)
    made = of_baseline(plural, dice.pick(names), dice.pick(places))
    return [world.delete(made)]


@move(2, rough=True)
def another_kubernetes_service(world: World) -> list[Step]:
    """Another Service of the name that the API server is found by."""
    made = of_baseline("services", "kubernetes", "default")
    metadata = {"name": made.name, "namespace": made.namespace}
    spec = {"ports": [{"port": 80}], "selector": world.dice.selector()}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    return [world.step("DELETE", made.path()), world.step("POST", made.kind.path(namespace=made.namespace), body=body)]


@move(2, rough=True)
def service_range_gone(world: World) -> list[Step]:
    """The range that Services come from deleted, and perhaps let go of."""
    made = of_baseline("servicecidrs", "kubernetes")
    finalizers = [{"op": "remove", "path": "/metadata/finalizers"}]
    free = [world.step("PATCH", made.path(), body=finalizers, content_type=JSON_PATCH)]
    return [world.delete(made), *(free if world.dice.chance(0.5) else [])]


@move(3, rough=True)
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
    nodes, priority_classes, system_api_services, service_range, collections, collections_of_the_system,
    deletion_of_system_object, another_kubernetes_service, service_range_gone, finalizers_of_system_objects,
)  # fmt: skip
