"""What a virtual API server notes of its requests, for whoever puts its cluster back.

The data store tells what there is and when that was written. It does not tell what was there for a while and is gone
again, nor who looked meanwhile; both matter to the next test (docs/decisions/0016-what-controllers-remember.md). Nor
does it tell what the controller manager has asked for that is not done yet (docs/decisions/0023-open-requests.md).

The one rule: few lines. Nothing is noted of what tests do in masses; most requests match no rule.
"""

from __future__ import annotations

from typing import Any

from pytest_vcluster.controlplane.keys import CONTROLLER_MANAGER

_WRITES = ("create", "update", "patch", "delete")
_ENDING = (*_WRITES, "deletecollection", "get", "list")
_DEFINING = (
    {"group": "apiextensions.k8s.io", "resources": ["customresourcedefinitions"]},
    {"group": "apiregistration.k8s.io", "resources": ["apiservices"]},
)
# Those that the API server goes by without reading them for each request.
_WORKED_BY = (
    {"group": "", "resources": ["limitranges", "namespaces", "resourcequotas"]},
    {"group": "admissionregistration.k8s.io"},
    {"group": "networking.k8s.io", "resources": ["ingressclasses", "servicecidrs"]},
    {"group": "node.k8s.io", "resources": ["runtimeclasses"]},
    {"group": "rbac.authorization.k8s.io"},
    {"group": "scheduling.k8s.io", "resources": ["priorityclasses"]},
    {"group": "storage.k8s.io", "resources": ["storageclasses"]},
)
# Of which the controller manager remembers what they wanted, by their names.
_REMEMBERED = ({"group": "autoscaling", "resources": ["horizontalpodautoscalers"]},)


def policy() -> dict[str, Any]:
    """The audit policy, https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/: the first rule that matches."""
    noted, begun, done = {"level": "Metadata"}, ["ResponseStarted", "ResponseComplete", "Panic"], ["RequestReceived"]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "rules": [
            # Once it was answered: whoever asked knows all kinds whose definition was asked for before.
            {**noted, "omitStages": done, "verbs": ["get"], "nonResourceURLs": ["/api", "/apis"]},
            {"level": "None", "nonResourceURLs": ["*"]},
            # When it begins and when it ends; a watch does not.
            {**noted, "omitStages": ["ResponseStarted"], "users": [CONTROLLER_MANAGER], "verbs": list(_ENDING)},
            # Before anything came of it.
            {**noted, "omitStages": begun, "verbs": list(_WRITES), "resources": list(_DEFINING)},
            {**noted, "omitStages": done, "verbs": list(_WRITES), "resources": [*_WORKED_BY, *_REMEMBERED]},
            {"level": "None"},
        ],
    }
