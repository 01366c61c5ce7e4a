"""What a host must hold for a virtual cluster, told from the virtual cluster alone.

It is written from what users are promised, and shares no code with the syncer: not how a thing is named or written, but
that it is there, once, the right one, with the right content, and that nothing else is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Object = Mapping[str, Any]
Facts = dict[tuple[str, ...], Any]
"""By what stands on the host, for whom: what must be true of it."""

_MARK = "vcluster-syncer/"
_PORT = ("name", "port", "protocol", "targetPort")


def expected(virtual: Mapping[str, Iterable[Object]]) -> Facts:
    """Say what the host must hold; `virtual` are all virtual objects by plural."""
    pods = list(virtual["pods"])
    used = {name for pod in pods for name in _used(pod)}
    facts: Facts = {}
    for pod in pods:
        facts["pods", *_place(pod)] = _pod(pod)
        if _asks_for_tokens(pod):
            facts["tokens", *_place(pod)] = {"uid": pod["metadata"]["uid"]}
    for plural in ("configmaps", "secrets"):
        for obj in virtual[plural]:
            if (plural, *_place(obj)) in used:
                facts[plural, *_place(obj)] = _content(obj)
    for service in virtual["services"]:
        if _place(service) != ("default", "kubernetes"):
            facts["services", *_place(service)] = _service(service)
    return facts


def observed(host: Mapping[str, Iterable[Object]]) -> Facts:
    """Say what the host holds, in the same words; `host` are all objects of the tenant's host namespace by plural.

    What stands for nothing, or for what another one stands for too, is told under its host name.
    """
    facts: Facts = {}
    described = {"pods": _pod, "configmaps": _content, "secrets": _content, "services": _service}
    for plural, objects in host.items():
        for obj in objects:
            notes = obj["metadata"].get("annotations") or {}
            place = notes.get(f"{_MARK}namespace"), notes.get(f"{_MARK}name")
            is_tokens = plural == "secrets" and notes.get(f"{_MARK}kind") == "Pod"
            key: tuple[str, ...] = ("tokens" if is_tokens else plural, *map(str, place))
            if None in place or key in facts:
                key = ("surplus", plural, obj["metadata"]["name"])
            facts[key] = (
                {"uid": notes.get(f"{_MARK}uid")}
                if is_tokens
                else {
                    **described[plural](obj),
                    "uid": notes.get(f"{_MARK}uid"),
                }
            )
    return facts


def differences(wanted: Facts, found: Facts) -> list[str]:
    """Tell how they differ."""
    lines = [f"missing: {key}" for key in wanted if key not in found]
    lines += [f"surplus: {key}" for key in found if key not in wanted]
    lines += [
        f"{key}: {name} is {found[key].get(name)!r}, not {value!r}"
        for key in wanted
        if key in found
        for name, value in wanted[key].items()
        if found[key].get(name) != value
    ]
    return lines


def disagreements(virtual: Iterable[Object], host: Iterable[Object]) -> list[str]:
    """Tell which virtual pods say otherwise of themselves than their host pods: node, phase, readiness, IP."""
    there = {(pod["metadata"].get("annotations") or {}).get(f"{_MARK}uid"): _said(pod) for pod in host}
    lines = []
    for pod in virtual:
        said, wanted = _said(pod), there.get(pod["metadata"]["uid"])
        if wanted is not None and said != wanted:
            lines.append(f"{_place(pod)} says {said}, its host pod {wanted}")
    return lines


def _said(pod: Object) -> dict[str, Any]:
    status = pod.get("status") or {}
    conditions = {one["type"]: one["status"] for one in status.get("conditions") or ()}
    return {
        "is bound": bool(pod["spec"].get("nodeName")),
        "phase": status.get("phase"),
        "ready": conditions.get("Ready"),
        "ip": status.get("podIP"),
        "restarts": [one["restartCount"] for one in status.get("containerStatuses") or ()],
    }


def _place(obj: Object) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def _own(pairs: Mapping[str, str] | None) -> dict[str, str]:
    return {name: value for name, value in (pairs or {}).items() if not name.startswith(_MARK)}


def _pod(pod: Object) -> dict[str, Any]:
    labels = {name: value for name, value in _own(pod["metadata"].get("labels")).items() if name.startswith("user-")}
    return {
        "uid": pod["metadata"]["uid"],
        "images": [container["image"] for container in pod["spec"]["containers"]],
        "labels": labels,
        "terminating": bool(pod["metadata"].get("deletionTimestamp")),
    }


def _content(obj: Object) -> dict[str, Any]:
    return {"uid": obj["metadata"]["uid"], "data": dict(obj.get("data") or {})}


def _service(service: Object) -> dict[str, Any]:
    spec = service["spec"]
    ports = [{name: port.get(name) for name in _PORT} for port in spec.get("ports") or ()]
    return {
        "uid": service["metadata"]["uid"],
        "clusterIP": spec.get("clusterIP"),
        "type": spec.get("type"),
        "ports": ports,
        "selector": _own(spec.get("selector")),
    }


def _used(pod: Object) -> Iterator[tuple[str, str, str]]:
    namespace = pod["metadata"]["namespace"]
    for container in pod["spec"]["containers"]:
        for source in container.get("envFrom") or ():
            if "configMapRef" in source:
                yield "configmaps", namespace, source["configMapRef"]["name"]
            if "secretRef" in source:
                yield "secrets", namespace, source["secretRef"]["name"]
    for volume in pod["spec"].get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if "configMap" in source:
                yield "configmaps", namespace, source["configMap"]["name"]
        if "configMap" in volume:
            yield "configmaps", namespace, volume["configMap"]["name"]
        if "secret" in volume:
            yield "secrets", namespace, volume["secret"]["secretName"]


def _asks_for_tokens(pod: Object) -> bool:
    sources = [
        source
        for volume in pod["spec"].get("volumes") or ()
        for source in (volume.get("projected") or {}).get("sources") or ()
    ]
    return any("serviceAccountToken" in source for source in sources)
