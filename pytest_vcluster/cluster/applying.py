"""Objects into the cluster and out of it again, in an order that works.

Definitions first, then namespaces, then the rest as given; deletion the other way round. Server-side apply with one
field manager, forced. The one rule: what the server refuses is told with the server's reason and the place in the file.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_vcluster.cluster import definitions
from pytest_vcluster.cluster.api import Api, Target
from pytest_vcluster.cluster.conditions import Created, Deleted
from pytest_vcluster.cluster.discovery import DEFINITIONS, NAMESPACES, Resource
from pytest_vcluster.cluster.manifests import Document
from pytest_vcluster.cluster.objects import Object, metadata, name_of, namespace_of, spoken
from pytest_vcluster.cluster.rest import APPLY
from pytest_vcluster.cluster.waiting import wait_until
from pytest_vcluster.errors import ApiError, ManifestError, Timeout

FIELD_MANAGER = "pytest-vcluster"
_SERVICE_ACCOUNT_SECONDS = 10.0
# Server-side apply answers a field that the schema does not have as if the server had failed (500).
_OF_A_WRONG_FIELD = "failed to create typed patch object"


class Refused(ManifestError, ApiError):
    """An object that the API server does not take; `status` and `reason` are the server's."""

    def __str__(self) -> str:
        return str(self.args[0])

    @classmethod
    def of(cls, document: Document, error: ApiError, *, what: str = "refused by the API server") -> Refused:
        """Say where the object came from and what the server said."""
        found = document.object
        text = f"{document.where}: {spoken(found['kind'], name_of(found), namespace_of(found))} was {what}: {error}"
        refused = cls(text, status=error.status, reason=error.reason, method=error.method, path=error.path)
        refused.args = (text,)
        return refused


def stage(found: Mapping[str, Any]) -> int:
    """When an object's turn is: definitions, namespaces, everything else."""
    if found["kind"] == DEFINITIONS.kind and str(found["apiVersion"]).startswith(f"{DEFINITIONS.group}/"):
        return 0
    return 1 if (found["apiVersion"], found["kind"]) == (NAMESPACES.api_version, NAMESPACES.kind) else 2


def apply(api: Api, documents: Sequence[Document], *, namespace: str, timeout: float) -> list[Object]:
    """Apply all objects and return them, in the order given, as the server returned them."""
    deadline = time.monotonic() + timeout
    applied: list[Object | None] = [None] * len(documents)
    order = sorted(range(len(documents)), key=lambda position: stage(documents[position].object))
    staged = {turn: [at for at in order if stage(documents[at].object) == turn] for turn in range(3)}
    for at in staged[0]:
        applied[at] = _apply_one(api, documents[at], DEFINITIONS, namespace="", deadline=deadline)
    if staged[0]:
        usable = definitions.make_usable(
            api, list(dict.fromkeys(name_of(documents[at].object) for at in staged[0])), deadline=deadline
        )
        for at in staged[0]:
            applied[at] = usable[name_of(documents[at].object)]
    rest = staged[1] + staged[2]
    # All kinds are looked up before any object is written: a typo should not leave half a manifest behind.
    resources = {at: _resource(api, documents[at], deadline=deadline) for at in rest}
    for at in rest:
        applied[at] = _apply_one(api, documents[at], resources[at], namespace=namespace, deadline=deadline)
    return [found for found in applied if found is not None]


def delete(api: Api, targets: Sequence[Target], *, wait: bool, timeout: float) -> None:
    """Delete objects, last one first, and wait until they are gone; those that aren't there are no mistake."""
    deadline = time.monotonic() + timeout
    turns = {DEFINITIONS.plural: 2, NAMESPACES.plural: 1}
    for turn in range(3):
        going = [found for found in reversed(targets) if turns.get(found.resource.plural, 0) == turn]
        deleted = [(target, uid) for target in going if (uid := _delete_one(api, target)) is not None]
        for target, uid in deleted if wait else ():
            left = max(0.1, deadline - time.monotonic())
            wait_until(api, target, Deleted(uid), words="delete", timeout=left)
            if target.resource.plural == DEFINITIONS.plural:
                definitions.await_unserved(api, target.name, deadline=deadline)


def targets_of(api: Api, documents: Iterable[Document], *, namespace: str) -> list[Target]:
    """What `delete` needs to know of manifests; objects of kinds that the server does not have are gone already."""
    found: list[Target] = []
    for document in documents:
        wanted = document.object
        resource = api.discovery.of(wanted["apiVersion"], wanted["kind"])
        if resource is not None:
            scope = (namespace_of(wanted) or namespace) if resource.namespaced else ""
            uid = str(metadata(wanted).get("uid", ""))
            found.append(Target(resource=resource, namespace=scope, name=name_of(wanted), uid=uid))
    return found


def _resource(api: Api, document: Document, *, deadline: float) -> Resource:
    api_version, kind = document.object["apiVersion"], document.object["kind"]
    resource = api.discovery.of(api_version, kind)
    if resource is None and (name := definitions.defining(api, api_version, kind)):
        # Somebody else applied the definition, a moment ago.
        definitions.make_usable(api, [name], deadline=deadline)
        resource = api.discovery.of(api_version, kind)
    if resource is None:
        like = api.discovery.catalog().like(kind)
        hint = f" Kinds with such a name: {', '.join(like)}." if like else ""
        message = (
            f"{document.where}: the API server has no kind {kind} in {api_version}.{hint} "
            "Apply its CustomResourceDefinition first, or in the same call."
        )
        raise ManifestError(message)
    return resource


def _apply_one(api: Api, document: Document, resource: Resource, *, namespace: str, deadline: float) -> Object:
    wanted = dict(document.object)
    # What the server says of an object it has can be applied again; these two are its own.
    own = {key: value for key, value in metadata(wanted).items() if key not in {"managedFields", "namespace"}}
    scope = (namespace_of(wanted) or namespace) if resource.namespaced else ""
    wanted["metadata"] = {**own, "namespace": scope} if scope else own
    target = Target(resource=resource, namespace=scope, name=name_of(wanted))
    try:
        return _send(api, target, wanted, deadline=deadline)
    except ApiError as error:
        if error.status >= 500 and _OF_A_WRONG_FIELD not in str(error):
            raise
        raise Refused.of(document, error) from error


def _send(api: Api, target: Target, wanted: Object, *, deadline: float) -> Object:
    query = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
    left = max(0.1, deadline - time.monotonic())
    try:
        return api.rest.call("PATCH", target.path, query=query, body=wanted, content_type=APPLY, timeout=left)
    except ApiError as error:
        if not (error.status == 403 and target.resource.kind == "Pod" and "service account" in str(error)):
            raise
        _await_service_account(api, target, wanted, seconds=min(left, _SERVICE_ACCOUNT_SECONDS))
        return api.rest.call("PATCH", target.path, query=query, body=wanted, content_type=APPLY, timeout=left)


def _await_service_account(api: Api, pod: Target, wanted: Object, *, seconds: float) -> None:
    """Wait for the account that a pod in a new namespace needs; a controller makes the default one a moment later."""
    name = (wanted.get("spec") or {}).get("serviceAccountName") or "default"
    account = api.target(f"serviceaccounts/{name}", namespace=pod.namespace)
    try:
        wait_until(api, account, Created(), words="create", timeout=seconds)
    except Timeout:
        return  # The second attempt then fails with the server's own words.


def _delete_one(api: Api, target: Target) -> str | None:
    """Ask for the deletion of an object; its uid (empty if the server does not tell), or None if it isn't there."""
    body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
    if target.uid:
        body["preconditions"] = {"uid": target.uid}
    try:
        answer = api.rest.call("DELETE", target.path, body=body)
    except ApiError as error:
        if error.status == 404 or (error.status == 409 and target.uid):
            return None
        raise
    details = answer.get("details") if answer.get("kind") == "Status" else metadata(answer)
    return str((details or {}).get("uid", ""))
