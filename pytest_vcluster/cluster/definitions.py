"""CustomResourceDefinitions made usable: established, served, and writable without the API server's 2 s sleep.

kube-apiserver lets every create of a custom resource sleep for 2 s if its definition was established less than 2 s ago,
in case other API servers have not heard of it. There is one API server here, so the time is put back through /status.
The one rule: when this returns, the next request of any client works, and works at once.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_vcluster.cluster.api import Api, Target
from pytest_vcluster.cluster.discovery import DEFINITIONS
from pytest_vcluster.cluster.objects import Object, condition_of, conditions_of, describe, name_of
from pytest_vcluster.cluster.rest import JSON_PATCH
from pytest_vcluster.errors import ApiError, ManifestError, Timeout

_SLEEP_SECONDS = 2.0
_PUT_BACK = datetime.timedelta(seconds=5)
_POLL_SECONDS = 0.003
_FIRST_PROBE_SECONDS = 0.25


def make_usable(api: Api, names: Sequence[str], *, deadline: float) -> dict[str, Object]:
    """Wait until these definitions can be used without a delay; returns them by name, as they are then."""
    usable: dict[str, Object] = {}
    fresh: list[str] = []
    for name in names:
        definition = _established(api, name, deadline=deadline)
        if _is_fresh(definition, now=datetime.datetime.now(datetime.UTC)):
            definition = _put_back(api, definition, deadline=deadline)
            fresh.append(name)
        usable[name] = definition
    _await_served(api, usable.values(), deadline=deadline)
    for name in fresh:
        _await_writable(api, usable[name], deadline=deadline)
    return usable


def defining(api: Api, api_version: str, kind: str) -> str | None:
    """The name of the definition of a kind that the server does not serve (yet); None if there is none."""
    group, _, version = api_version.rpartition("/")
    for found in api.listed(DEFINITIONS, timeout=None):
        spec = found["spec"]
        if (spec["group"], spec["names"]["kind"]) == (group, kind) and version in _served_versions(found):
            return name_of(found)
    return None


def _served_versions(definition: Mapping[str, Any]) -> list[str]:
    return [version["name"] for version in definition["spec"]["versions"] if version.get("served")]


def _established(api: Api, name: str, *, deadline: float) -> Object:
    began = time.monotonic()
    last: Object | None = None
    for last in api.observe(Target(resource=DEFINITIONS, namespace="", name=name), deadline=deadline):
        if last is None:
            continue
        refused = condition_of(last, "NamesAccepted")
        if refused is not None and refused.get("status") == "False":
            message = f"CustomResourceDefinition {name}: its names are refused: {refused.get('message')}"
            raise ManifestError(message)
        if (condition_of(last, "Established") or {}).get("status") == "True":
            return last
    raise Timeout(
        f"CustomResourceDefinition {name} becoming Established",
        elapsed=time.monotonic() - began,
        last_seen=describe(last),
    )


def _is_fresh(definition: Object, *, now: datetime.datetime) -> bool:
    since = datetime.datetime.fromisoformat((condition_of(definition, "Established") or {})["lastTransitionTime"])
    return (now - since).total_seconds() < _SLEEP_SECONDS + 1


def _put_back(api: Api, definition: Object, *, deadline: float) -> Object:
    """Put the time at which the definition was established into the past."""
    target = Target(resource=DEFINITIONS, namespace="", name=name_of(definition))
    while True:
        types = [condition.get("type") for condition in conditions_of(definition)]
        at = f"/status/conditions/{types.index('Established')}"
        since = datetime.datetime.fromisoformat((condition_of(definition, "Established") or {})["lastTransitionTime"])
        past = (since - _PUT_BACK).strftime("%Y-%m-%dT%H:%M:%SZ")
        patch = [
            {"op": "test", "path": f"{at}/type", "value": "Established"},
            {"op": "replace", "path": f"{at}/lastTransitionTime", "value": past},
        ]
        try:
            return api.rest.call("PATCH", f"{target.path}/status", body=patch, content_type=JSON_PATCH)
        except ApiError as error:
            # The server's own controllers write conditions at the same moment.
            if error.status not in {409, 422} or time.monotonic() > deadline:
                raise
            definition = api.get(target)


def _await_served(api: Api, definitions: Iterable[Object], *, deadline: float) -> None:
    """Wait until both kinds of discovery tell of every served version; nothing announces it, so it is asked for."""
    began = time.monotonic()
    wanted = {
        (f"{definition['spec']['group']}/{version}", definition["spec"]["names"]["kind"])
        for definition in definitions
        for version in _served_versions(definition)
    }
    for lacking in (_unlisted, _uncatalogued):
        while missing := lacking(api, wanted):
            api.check()
            if time.monotonic() > deadline:
                names = ", ".join(sorted(f"{kind} in {api_version}" for api_version, kind in missing))
                raise Timeout(
                    "Definitions being served",
                    elapsed=time.monotonic() - began,
                    last_seen=f"all are established, but discovery does not tell of {names}",
                )
            time.sleep(_POLL_SECONDS)


def await_unserved(api: Api, name: str, *, deadline: float) -> None:
    """Wait until nothing of a deleted definition (`widgets.example.com`) is served: its end is a moment ahead."""
    plural, _, group = name.partition(".")
    began = time.monotonic()
    known = api.discovery.catalog().resources
    paths = [found.path() for found in known if (found.group, found.plural) == (group, plural)]
    while served := [path for path in paths if _is_answered(api, path)]:
        if time.monotonic() > deadline:
            last_seen = f"it is gone, but the server still answers {served[0]}"
            raise Timeout(f"The end of {name}", elapsed=time.monotonic() - began, last_seen=last_seen)
        time.sleep(_POLL_SECONDS)
    api.discovery.refresh()


def _is_answered(api: Api, path: str) -> bool:
    try:
        api.rest.call("GET", path, query={"limit": "1"})
    except ApiError as error:
        return error.status != 404
    return True


def _unlisted(api: Api, wanted: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of `wanted` that the list of their group and version lacks: what most client libraries read."""
    missing = set(wanted)
    for group_version in {api_version for api_version, _ in wanted}:
        try:
            listed: Sequence[Mapping[str, Any]] = api.rest.call("GET", f"/apis/{group_version}")["resources"]
        except ApiError as error:
            if error.status != 404:
                raise
        else:
            missing -= {(group_version, found["kind"]) for found in listed}
    return missing


def _uncatalogued(api: Api, wanted: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of `wanted` that aggregated discovery lacks: what kubectl reads, and we."""
    catalog = api.discovery.refresh()
    return {(api_version, kind) for api_version, kind in wanted if catalog.of(api_version, kind) is None}


def _await_writable(api: Api, definition: Object, *, deadline: float) -> None:
    """Wait until a create is answered at once.

    The API server sees the new time a moment after it has stored it. A create without a body tells: it is refused in
    any case, but only after the sleep if there is one; such a probe is given up and another one is sent.
    """
    began = time.monotonic()
    spec = definition["spec"]
    namespace = "/namespaces/default" if spec["scope"] == "Namespaced" else ""
    path = f"/apis/{spec['group']}/{_served_versions(definition)[0]}{namespace}/{spec['names']['plural']}"
    patience = _FIRST_PROBE_SECONDS
    while time.monotonic() < deadline:
        try:
            api.rest.call("POST", path, timeout=patience)
        except Timeout:
            patience = min(2 * patience, _SLEEP_SECONDS / 2)
        except ApiError:
            return
        else:
            return
    raise Timeout(
        f"CustomResourceDefinition {name_of(definition)} taking objects",
        elapsed=time.monotonic() - began,
        last_seen=describe(definition),
    )
