"""Which pod a test means when it names a Deployment or a Service, and which of its ports.

The one rule: as kubectl has it. A pod that is named is that pod; of many the one that is ready is taken, and one that
has not begun yet is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_vcluster.cluster.api import Api, Target
from pytest_vcluster.cluster.objects import Object, condition_of, describe, name_of, namespace_of, spoken
from pytest_vcluster.cluster.waiting import wait_until
from pytest_vcluster.errors import Timeout

# Pods of a selector are many objects, and only one can be observed.
_POLL_SECONDS = 0.05

Reference = str | Mapping[str, Any]
"""`web-0`, `pod/web-0`, `deployment/web`, `service/web`, or an object."""


class Begun:
    """A pod has been started, however it ended."""

    def met(self, state: Mapping[str, Any] | None) -> bool:
        """Whether it has."""
        return state is not None and (state.get("status") or {}).get("phase") not in (None, "", "Pending")


def find(api: Api, ref: Reference, *, namespace: str | None, timeout: float) -> tuple[Object, Object]:
    """The pod that `ref` means, started, and the object that it names. Raises Timeout, and ApiError if it has no pods.

    A name alone is a pod's.
    """
    deadline = time.monotonic() + timeout
    word = f"pod/{ref}" if isinstance(ref, str) and "/" not in ref else ref
    target = api.target(word, namespace=namespace)
    if target.resource.qualified == "pods":
        pod = _begun(api, target, timeout=timeout)
        return pod, pod
    named = api.get(target)
    selector = ",".join(_terms(named))
    if not selector:
        kinds = "a pod, or something that selects pods: deployment/web, statefulset/db, service/web"
        message = f"{spoken(target.resource.kind, target.name, target.namespace)} selects no pods; allowed: {kinds}"
        raise ValueError(message)
    while not (pods := _selected(api, target, selector)):
        if time.monotonic() > deadline:
            raise Timeout(
                f"Waiting for a pod of {spoken(target.resource.kind, target.name, target.namespace)}",
                elapsed=timeout,
                last_seen=f"no pod with the labels {selector}; {describe(named)}",
            )
        api.check()
        time.sleep(_POLL_SECONDS)
    chosen = min(pods, key=_worth)
    return _begun(api, api.target(chosen), timeout=max(0.1, deadline - time.monotonic())), named


def port_of(named: Object, pod: Object, port: int | str) -> int:
    """The pod's port that is meant by a port of the object, which may be a Service; a name is looked up."""
    wanted: int | str = port
    if named.get("kind") == "Service":
        ports = named["spec"].get("ports") or ()
        found = next((one for one in ports if port in (one.get("port"), one.get("name"))), None)
        if found is None:
            known = ", ".join(str(one["port"]) for one in ports) or "none"
            raise ValueError(f"Service {name_of(named)} has no port {port!r}; it has: {known}")
        wanted = found.get("targetPort") or found["port"]
    if isinstance(wanted, int):
        return wanted
    if wanted.isdecimal():
        return int(wanted)
    for container in pod["spec"]["containers"]:
        for one in container.get("ports") or ():
            if one.get("name") == wanted:
                return int(one["containerPort"])
    raise ValueError(f"Pod {name_of(pod)} has no port called {wanted!r}")


def path_of(pod: Object, subresource: str) -> str:
    """Where a part of a pod is."""
    return f"/api/v1/namespaces/{namespace_of(pod)}/pods/{name_of(pod)}/{subresource}"


def _begun(api: Api, target: Target, *, timeout: float) -> Object:
    return wait_until(api, target, Begun(), words="started", timeout=timeout)


def _selected(api: Api, target: Target, selector: str) -> list[Object]:
    pods = api.discovery.called("pods")
    return api.listed(pods, namespace=target.namespace, query={"labelSelector": selector}, timeout=None)


def _worth(pod: Object) -> tuple[bool, bool, bool, str]:
    """Smaller is better: not being deleted, ready, running, then by name so that it is the same one every time."""
    ready = (condition_of(pod, "Ready") or {}).get("status") == "True"
    running = (pod.get("status") or {}).get("phase") == "Running"
    return "deletionTimestamp" in pod["metadata"], not ready, not running, name_of(pod)


def _terms(named: Object) -> Iterator[str]:
    selector = (named.get("spec") or {}).get("selector") or {}
    if named.get("kind") in ("Service", "ReplicationController"):
        selector = {"matchLabels": selector}
    for label, value in (selector.get("matchLabels") or {}).items():
        yield f"{label}={value}"
    for term in selector.get("matchExpressions") or ():
        label, operator = term["key"], term["operator"]
        match operator:
            case "Exists":
                yield label
            case "DoesNotExist":
                yield f"!{label}"
            case _:
                yield f"{label} {operator.lower()} ({','.join(term['values'])})"
