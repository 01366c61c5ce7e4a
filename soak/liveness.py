"""Whether a cluster does what a cluster does: its controllers react, what is made works, what is deleted goes.

A cluster may look pristine and be dead: a controller that missed the way back waits for ever. The one rule: what is
waited for happens within a second on an idle machine; nothing here is compared, it simply must happen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from pytest_vcluster.cluster.api import Api
from pytest_vcluster.cluster.definitions import make_usable
from pytest_vcluster.cluster.discovery import Discovery
from pytest_vcluster.cluster.rest import Rest
from pytest_vcluster.controlplane.http import Unreachable
from pytest_vcluster.errors import ApiError, VClusterError
from soak.dice import Dice
from soak.kinds import KINDS, Kind
from soak.moves.definitions import GROUPS, PLURALS

_SECONDS = 60.0
_POLL_SECONDS = 0.02
_NAMESPACE = "alive"
Check = Callable[[Rest, Dice], None]


class _Dead(Exception):
    """Something that must happen did not."""


def check(rest: Rest, seed: int) -> list[str]:
    """One line for each thing that does not work; it leaves traces."""
    lines = []
    for name, run in CHECKS.items():
        began = time.monotonic()
        try:
            run(rest, Dice(seed))
        except (_Dead, VClusterError, Unreachable) as error:
            lines.append(f"alive: {name}: after {time.monotonic() - began:.1f} s: {error}")
    return lines


def _post(rest: Rest, kind: Kind, name: str, parts: Mapping[str, object], **metadata: object) -> dict[str, Any]:
    place = {"namespace": _NAMESPACE} if kind.namespaced else {}
    body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name, **place, **metadata}, **parts}
    return rest.call("POST", kind.path(namespace=_NAMESPACE if kind.namespaced else ""), body=body)


def _until(rest: Rest, path: str, wanted: Callable[[Mapping[str, Any] | None], bool], *, words: str) -> None:
    """Look until the object at `path` (None if there is none) is as wanted."""
    deadline = time.monotonic() + _SECONDS
    seen: Mapping[str, Any] | None = None
    while time.monotonic() < deadline:
        try:
            seen = rest.call("GET", path)
        except ApiError as error:
            if error.status != 404:
                raise
            seen = None
        if wanted(seen):
            return
        time.sleep(_POLL_SECONDS)
    raise _Dead(f"{path} is not {words}: {(seen or {}).get('status', 'it is there') if seen else 'it is not there'}")


def _path(plural: str, name: str) -> str:
    kind = KINDS[plural]
    return kind.path(namespace=_NAMESPACE if kind.namespaced else "", name=name)


def _there(seen: Mapping[str, Any] | None) -> bool:
    return seen is not None


def _gone(seen: Mapping[str, Any] | None) -> bool:
    return seen is None


def _namespace(rest: Rest, dice: Dice) -> None:
    del dice
    _post(rest, KINDS["namespaces"], _NAMESPACE, {})
    _until(rest, _path("serviceaccounts", "default"), _there, words="made")
    _until(rest, _path("configmaps", "kube-root-ca.crt"), _there, words="made")


def _deployment(rest: Rest, dice: Dice) -> None:
    name, labels = dice.name(), dice.selector()
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "nginx"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    _post(rest, KINDS["deployments"], name, {"spec": spec})

    def available(seen: Mapping[str, Any] | None) -> bool:
        return seen is not None and (seen.get("status") or {}).get("availableReplicas") == 2

    _until(rest, _path("deployments", name), available, words="available")


def _garbage(rest: Rest, dice: Dice) -> None:
    config_maps = KINDS["configmaps"]
    owner = _post(rest, config_maps, "owner", {"data": dice.data()})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    _post(rest, config_maps, "owned", {}, ownerReferences=[reference])
    rest.call("DELETE", _path("configmaps", "owner"))
    _until(rest, _path("configmaps", "owned"), _gone, words="collected")


def _quota(rest: Rest, dice: Dice) -> None:
    del dice
    _post(rest, KINDS["resourcequotas"], "counted", {"spec": {"hard": {"count/secrets": "100"}}})

    def counted(seen: Mapping[str, Any] | None) -> bool:
        return seen is not None and bool((seen.get("status") or {}).get("used"))

    _until(rest, _path("resourcequotas", "counted"), counted, words="counted for")


def _service(rest: Rest, dice: Dice) -> None:
    del dice
    port = {"port": 80, "nodePort": 30080}
    for kind in ("NodePort", "LoadBalancer"):  # the second one shows that the first one gave the port back
        _post(rest, KINDS["services"], kind.lower(), {"spec": {"type": kind, "ports": [port]}})
        rest.call("DELETE", _path("services", kind.lower()))


def _custom_kind(rest: Rest, dice: Dice) -> None:
    group, plural, default = dice.pick(GROUPS), dice.pick(PLURALS), dice.between(1, 1000)
    kind = Kind(plural, f"{group}/v1", plural[:-1].title())
    field = {"type": "integer", "default": default, "maximum": default}
    spec = {"type": "object", "properties": {"only": field}, "default": {}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    name = f"{plural}.{group}"
    definition = {
        "group": group,
        "scope": "Namespaced",
        "names": {"plural": plural, "kind": kind.kind},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
    }
    _post(rest, KINDS["customresourcedefinitions"], name, {"spec": definition})
    make_usable(Api(rest, Discovery(rest), check=_never), [name], deadline=time.monotonic() + _SECONDS)
    made = _post(rest, kind, "defaulted", {})
    if made.get("spec") != {"only": default}:
        raise _Dead(f"an object of {name} has {made.get('spec')} instead of the default, {default}")
    try:
        _post(rest, kind, "refused", {"spec": {"only": default + 1}})
    except ApiError as error:
        if error.status != 422:
            raise
    else:
        raise _Dead(f"an object of {name} is not held against its schema")


def _permission(rest: Rest, dice: Dice) -> None:
    user = f"{dice.word()}-{dice.between(0, 10**6)}"
    group = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    _post(rest, KINDS["roles"], "reader", {"rules": rules})
    subject = {"apiGroup": group, "kind": "User", "name": user}
    reference = {"apiGroup": group, "kind": "Role", "name": "reader"}
    _post(rest, KINDS["rolebindings"], "reader", {"roleRef": reference, "subjects": [subject]})
    attributes = {"namespace": _NAMESPACE, "verb": "get", "resource": "secrets"}
    spec = {"user": user, "resourceAttributes": attributes}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        answer = rest.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body=review)
        if answer["status"]["allowed"]:
            return
        time.sleep(_POLL_SECONDS)
    raise _Dead("a role that was bound does not grant anything")


def _end_of_namespace(rest: Rest, dice: Dice) -> None:
    # One without pods: a namespace waits for theirs to end in peace, ten seconds and more.
    name = "dying"
    _post(rest, KINDS["namespaces"], name, {})
    body = {"metadata": {"name": "inside"}, "data": dice.data()}
    rest.call("POST", KINDS["configmaps"].path(namespace=name), body=body)
    rest.call("DELETE", _path("namespaces", name))
    _until(rest, _path("namespaces", name), _gone, words="gone")


def _never() -> None:
    return


CHECKS: Mapping[str, Check] = {
    "a namespace gets what every namespace has": _namespace,
    "a Deployment becomes available": _deployment,
    "what nobody owns any more is collected": _garbage,
    "a quota is counted for": _quota,
    "Services get the ports they ask for": _service,
    "a kind can be defined and its objects are held against it": _custom_kind,
    "a role grants": _permission,
    "a namespace goes with all that is in it": _end_of_namespace,
}
