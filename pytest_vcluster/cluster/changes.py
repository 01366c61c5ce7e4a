"""The objects that a test has changed, found by their resource version, and written for people to read.

The one rule: no secret leaves the cluster; what is written down may end in a CI system's artifacts.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from pytest_vcluster.cluster.api import Api
from pytest_vcluster.cluster.discovery import Resource
from pytest_vcluster.cluster.objects import Object, metadata, name_of, namespace_of
from pytest_vcluster.controlplane.http import Unreachable
from pytest_vcluster.errors import VClusterError

_AT_ONCE = 4
# Events have a file of their own; component statuses are no objects, and asking for them probes the components; nor are
# figures, for which the host is asked.
_LEFT_OUT = frozenset(
    {
        ("", "events"),
        ("events.k8s.io", "events"),
        ("", "componentstatuses"),
        ("metrics.k8s.io", "nodes"),
        ("metrics.k8s.io", "pods"),
    }
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_LONGEST_NAME = 200

_Dumper: type[yaml.SafeDumper] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _ReadableDumper(_Dumper):  # type: ignore[misc, valid-type]
    """Texts of several lines as such."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_ReadableDumper.add_representer(str, _represent_text)


def changed_objects(api: Api, *, since: int, deadline: float, problems: list[str]) -> Iterator[tuple[Resource, Object]]:
    """Yield every object with a resource version above `since`; what can't be listed is added to `problems`."""
    catalog = api.discovery.refresh(timeout=max(0.1, deadline - time.monotonic()))
    resources = [
        found
        for found in catalog.preferred()
        if {"list", "get"} <= found.verbs and (found.group, found.plural) not in _LEFT_OUT
    ]

    def listed(resource: Resource) -> list[Object]:
        left = deadline - time.monotonic()
        if left <= 0:
            problems.append(f"{resource.qualified}: no time left to list them")
            return []
        try:
            return api.listed(resource, timeout=left)
        except (VClusterError, Unreachable) as error:
            problems.append(f"{resource.qualified}: {error}")
            return []

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="evidence") as threads:
        for resource, objects in zip(resources, threads.map(listed, resources), strict=True):
            yield from ((resource, found) for found in objects if _revision(found) > since)


def write_object(folder: Path, resource: Resource, found: Object) -> Path:
    """Write one object to its place below `folder`."""
    kind = f"{resource.kind.lower()}.{resource.group}" if resource.group else resource.kind.lower()
    path = folder / (namespace_of(found) or "_cluster") / kind / f"{_file_name(name_of(found))}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_yaml(presentable(found)), encoding="utf-8")
    return path


def as_yaml(found: Mapping[str, Any]) -> str:
    """An object as a person reads it."""
    text: str = yaml.dump(found, Dumper=_ReadableDumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def presentable(found: Mapping[str, Any]) -> Object:
    """The object without what nobody reads, and without what nobody may read."""
    meta = {key: value for key, value in metadata(found).items() if key != "managedFields"}
    shown = {**found, "metadata": meta}
    if (found.get("apiVersion"), found.get("kind")) == ("v1", "Secret"):
        for name in ("data", "stringData"):
            if found.get(name):
                shown[name] = {key: _redacted(value) for key, value in found[name].items()}
        annotations = meta.get("annotations")
        if annotations and _LAST_APPLIED in annotations:
            meta["annotations"] = {**annotations, _LAST_APPLIED: "<redacted>"}
    return shown


def _redacted(value: object) -> str:
    try:
        return f"<redacted: {len(base64.b64decode(str(value), validate=True))} bytes>"
    except (binascii.Error, ValueError):
        return "<redacted>"


def _revision(found: Object) -> int:
    text = str(metadata(found).get("resourceVersion", ""))
    return int(text) if text.isdigit() else 0


def _file_name(name: str) -> str:
    plain = name.replace("/", "_")
    if len(plain) <= _LONGEST_NAME:
        return plain
    return f"{plain[:_LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
