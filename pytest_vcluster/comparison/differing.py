"""Telling two states apart, in lines for people.

The one rule: pure, and complete: every difference that is left once each state is in anyone's words has its line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pytest_vcluster.comparison.likeness import comparable
from pytest_vcluster.comparison.state import ApiState, Object, Schemas

_SHOWN = 100
_Identity = Callable[[Mapping[str, Any]], Any]
# By what an element of a list is known, whatever its place; the first that all elements have, each its own, counts.
_IDENTITIES: tuple[_Identity, ...] = (
    lambda item: (item["manager"], item["operation"], item.get("subresource", ""), item["apiVersion"]),
    lambda item: item["metadata"]["name"],
    lambda item: item["name"],
    lambda item: item["resource"],
    lambda item: item["subresource"],
    lambda item: item["groupVersion"],
    lambda item: item["version"],
    lambda item: item["type"],
    lambda item: item["uid"],
)


def differences(expected: ApiState, found: ApiState) -> list[str]:
    """One line per difference between two clusters of one Kubernetes version and one baseline; none if they are alike.

    The states are as `read` gave them; what any two clusters differ in is left out here.
    """
    one, other = comparable(expected), comparable(found)
    return [
        *_failures(one.failures, other.failures),
        *_objects(one.objects, other.objects),
        *_discovery(one.discovery, other.discovery),
        *_schemas(one.schemas, other.schemas),
    ]


def _failures(expected: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
    for path in sorted({*expected, *found}):
        if expected.get(path) != found.get(path):
            was, now = expected.get(path, "answered"), found.get(path, "answered")
            yield f"{path}: expected to be {was}, found {now}"


def _objects(expected: Mapping[str, Mapping[str, Object]], found: Mapping[str, Mapping[str, Object]]) -> Iterator[str]:
    for kind in sorted({*expected, *found}):
        here, there = expected.get(kind, {}), found.get(kind, {})
        for name in sorted({*here, *there}):
            if name not in there:
                yield f"{kind} {name}: missing"
            elif name not in here:
                yield f"{kind} {name}: extra{_circumstances(there[name])}"
            elif here[name] != there[name]:
                yield from fields(here[name], there[name], f"{kind} {name} ")


def _discovery(expected: Mapping[str, Object], found: Mapping[str, Object]) -> Iterator[str]:
    for path in sorted({*expected, *found}):
        if path not in found:
            yield f"discovery {path}: missing"
        elif path not in expected:
            yield f"discovery {path}: extra"
        else:
            yield from fields(expected[path], found[path], f"discovery {path} ")


def _schemas(expected: Mapping[str, Schemas], found: Mapping[str, Schemas]) -> Iterator[str]:
    for name in sorted({*expected, *found}):
        here, there = expected.get(name), found.get(name)
        if here is None or there is None:
            yield f"openapi {name}: {'extra' if here is None else 'missing'}"
        elif here.hash != there.hash:
            yield f"openapi {name}: hash {shortened(here.hash)} expected, {shortened(there.hash)} found"
            if here.parts is not None and there.parts is not None:
                for part in sorted({*here.parts, *there.parts}):
                    if here.parts.get(part) != there.parts.get(part):
                        how = "missing" if part not in there.parts else "extra" if part not in here.parts else "other"
                        yield f"openapi {name}: {part}: {how}"


def fields(expected: Any, found: Any, at: str) -> Iterator[str]:
    """One line for each place below `at` where the values are not the same."""
    if expected == found:
        return
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        yield from _members(expected, found, at, spell=_member)
    elif isinstance(expected, list) and isinstance(found, list):
        yield from _elements(expected, found, at)
    else:
        yield f"{at}: {shortened(expected)} expected, {shortened(found)} found"


def _members(
    expected: Mapping[Any, Any], found: Mapping[Any, Any], at: str, *, spell: Callable[[Any], str]
) -> Iterator[str]:
    for key in sorted({*expected, *found}, key=str):
        where = f"{at}{spell(key)}"
        if key not in found:
            yield f"{where}: missing, {shortened(expected[key])} expected"
        elif key not in expected:
            yield f"{where}: extra, {shortened(found[key])} found"
        else:
            yield from fields(expected[key], found[key], where)


def _elements(expected: list[Any], found: list[Any], at: str) -> Iterator[str]:
    for identity in _IDENTITIES:
        here, there = _known_by(identity, expected), _known_by(identity, found)
        if here is None or there is None:
            continue
        yield from _members(here, there, at, spell=_element)
        if list(here) != list(there) and set(here) == set(there):
            yield f"{at}: order {shortened(list(here))} expected, {shortened(list(there))} found"
        return
    if len(expected) == len(found):
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from fields(one, other, f"{at}[{number}]")
    else:
        yield f"{at}: {len(expected)} elements expected, {len(found)} found: {shortened(found)}"


def _known_by(identity: _Identity, items: Sequence[Any]) -> dict[Any, Any] | None:
    try:
        known = {identity(item): item for item in items}
    except (KeyError, TypeError):
        return None
    return known if len(known) == len(items) else None


def _member(key: Any) -> str:
    text = str(key)
    return f".{text}" if text.replace("_", "").isalnum() else f"[{text}]"


def _element(key: Any) -> str:
    return f"[{' '.join(filter(None, key)) if isinstance(key, tuple) else key}]"


def _circumstances(extra: Object) -> str:
    """Who made an object that should not be there, and why it may still be there."""
    metadata = extra.get("metadata") or {}
    told = []
    if writers := sorted({str(entry.get("manager")) for entry in metadata.get("managedFields") or ()}):
        told.append(f"written by {', '.join(writers)}")
    if metadata.get("deletionTimestamp"):
        told.append("being deleted")
    if metadata.get("finalizers"):
        told.append(f"held by {', '.join(metadata['finalizers'])}")
    if about := extra.get("involvedObject") or extra.get("regarding"):
        where = "/".join(filter(None, (about.get("namespace"), about.get("name"))))
        text = shortened(extra.get("message") or extra.get("note") or "")
        told.append(f"of {about.get('kind')} {where}: {extra.get('reason')}, {text}")
    return f" ({'; '.join(told)})" if told else ""


def shortened(value: Any) -> str:
    """A value as JSON, its middle left out if it is long."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 25]} ... {text[-20:]}"
