"""Events, in the order in which things happened, and as the table that kubectl would show.

The one rule: reading events never fails a caller that only wants to decorate an error with them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_vcluster.cluster.api import Api, Target
from pytest_vcluster.cluster.discovery import EVENTS
from pytest_vcluster.cluster.objects import Object, metadata
from pytest_vcluster.controlplane.http import Unreachable
from pytest_vcluster.errors import VClusterError

_DECORATION_SECONDS = 2.0
_HEADINGS = ("LAST SEEN", "NAMESPACE", "TYPE", "REASON", "OBJECT", "COUNT", "MESSAGE")


def moment(event: Mapping[str, Any]) -> str:
    """When the event was last seen, as RFC 3339 text; empty if it does not say."""
    series = event.get("series") or {}
    for found in (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        event.get("firstTimestamp"),
        metadata(event).get("creationTimestamp"),
    ):
        if found:
            return str(found)
    return ""


def in_order(events: Iterable[Object]) -> list[Object]:
    """Events as they happened; those of one second in the order in which they were stored."""
    return sorted(events, key=lambda event: (moment(event)[:19], _revision(event)))


def events_of(api: Api, target: Target | None, *, namespace: str = "", timeout: float | None = None) -> list[Object]:
    """Events of one object, or of a namespace, or (empty) of all."""
    query: dict[str, str] = {}
    if target is not None:
        # Events of cluster-scoped objects are in whatever namespace their source chose.
        namespace = target.namespace
        query["fieldSelector"] = f"involvedObject.name={target.name},involvedObject.kind={target.resource.kind}"
    return in_order(api.listed(EVENTS, namespace=namespace, query=query, timeout=timeout))


def recent(api: Api, target: Target, *, count: int = 5) -> str:
    """The last events of an object for the end of an error message; empty if there are none to be had."""
    with contextlib.suppress(VClusterError, Unreachable):
        found = events_of(api, target, timeout=_DECORATION_SECONDS)[-count:]
        return "\n".join(f"  {event.get('type')} {event.get('reason')}: {event.get('message')}" for event in found)
    return ""


def table(events: Iterable[Mapping[str, Any]]) -> str:
    """Events a line each."""
    rows = [_HEADINGS, *map(_row, events)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS) - 1)]
    return "".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) + "\n"
        for row in rows
    )


def _row(event: Mapping[str, Any]) -> tuple[str, ...]:
    about = event.get("involvedObject") or {}
    count = event.get("count") or (event.get("series") or {}).get("count") or 1
    return (
        moment(event),
        str(metadata(event).get("namespace", "")),
        str(event.get("type", "")),
        str(event.get("reason", "")),
        f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}",
        str(count),
        " ".join(str(event.get("message", "")).split()),
    )


def _revision(event: Mapping[str, Any]) -> int:
    text = str(metadata(event).get("resourceVersion", ""))
    return int(text) if text.isdigit() else 0
