"""The API metrics.k8s.io as a virtual cluster has it: what it says of itself, and how its requests are read.

The one rule: pure, and read only. What the API says of itself depends on nothing but which figures are told, so that an
API server always finds it, whatever becomes of the host: an API that can't be discovered keeps namespaces from ending.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vcluster_syncer.gateway.routes import Refused
from vcluster_syncer.gateway.selectors import BadSelector, Selects, by_fields, by_labels
from vcluster_syncer.model import POD_METRICS, Key, Object, Resource

GROUP: Final = POD_METRICS.group
VERSION: Final = POD_METRICS.version
ROOT: Final = f"/apis/{GROUP}/{VERSION}"
_VERBS: Final = ("get", "list")
_REASONS: Final = {
    400: "BadRequest",
    404: "NotFound",
    405: "MethodNotAllowed",
    503: "ServiceUnavailable",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody wants to know: figures of one object, or of all that are selected."""

    resource: Resource
    key: Key
    """Without a name it is a list, of one namespace or of all."""
    selectors: Sequence[Selects] = ()

    def selected(self, figures: Iterable[Object]) -> list[Object]:
        """Those that are asked for, in the order of their names."""
        within = [each for each in figures if self.key.namespace in ("", each["metadata"].get("namespace"))]
        wanted = [each for each in within if all(selects(each) for selects in self.selectors)]
        return sorted(wanted, key=lambda each: (each["metadata"].get("namespace", ""), each["metadata"]["name"]))

    @property
    def not_found(self) -> Refused:
        """The answer where there is none of that name, in an API server's words."""
        return Refused(404, f'{self.resource.plural}.{self.resource.group} "{self.key.name}" not found')


def parse(method: str, path: Sequence[str], query: Mapping[str, str], told: Collection[Resource]) -> Asked:
    """Read a request for figures; `path` in its parts. Refused for what is none, or asks for those not `told`."""
    match path:
        case ("apis", str(group), str(version), "namespaces", str(namespace), str(plural), *rest) if namespace:
            namespaced = True
        case ("apis", str(group), str(version), str(plural), *rest):
            namespaced, namespace = False, ""
        case _:
            group = version = plural = namespace = ""
            namespaced, rest = False, []
    name = "/".join(rest)
    resource = next((one for one in told if (group, version, plural) == (one.group, one.version, one.plural)), None)
    # All objects of a namespaced kind are listed without a namespace; a single one is not found so.
    is_place = resource is not None and (namespaced == resource.namespaced or (resource.namespaced and not name))
    if resource is None or not is_place or "/" in name:
        raise Refused(404, "the server could not find the requested resource")
    if method != "GET":
        raise Refused(405, f"{method} is not allowed: figures can only be read")
    if query.get("watch", "") not in ("", "0", "false"):
        raise Refused(405, f"watch is not supported on {resource.plural}.{resource.group}: figures can only be read")
    return Asked(resource=resource, key=Key(namespace, name), selectors=() if name else _selectors(query))


def _selectors(query: Mapping[str, str]) -> tuple[Selects, Selects]:
    try:
        return by_labels(query.get("labelSelector", "")), by_fields(query.get("fieldSelector", ""))
    except BadSelector as error:
        raise Refused(400, str(error)) from error


def as_list(asked: Asked, figures: Iterable[Object]) -> dict[str, Any]:
    """Answer with a list."""
    return {
        "kind": f"{asked.resource.kind}List",
        "apiVersion": asked.resource.api_version,
        "metadata": {},
        "items": asked.selected(figures),
    }


def as_status(refused: Refused) -> dict[str, Any]:
    """Answer with a refusal."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": str(refused),
        "reason": _REASONS.get(refused.status, "InternalError"),
        "code": refused.status,
    }


def discovery(told: Iterable[Resource]) -> dict[str, Any]:
    """Return what the API says of itself, at `ROOT`: which kinds there are."""
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{GROUP}/{VERSION}",
        "resources": [
            {
                "name": resource.plural,
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": list(_VERBS),
            }
            for resource in told
        ],
    }
