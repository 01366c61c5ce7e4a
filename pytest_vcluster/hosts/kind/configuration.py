"""The kind configuration: ours, with what the user's file adds.

The one rule: what the file says wins, and what is in none of ours is passed on as it is; kind itself is strict about
what it knows. Only what could not be merged is refused here, with file and line, before anything starts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pytest_vcluster.controlplane.networks import KIND_SERVICE_RANGE
from pytest_vcluster.errors import SettingsError

_API = "kind.x-k8s.io/v1alpha4"
_LISTS = (
    "nodes",
    "kubeadmConfigPatches",
    "kubeadmConfigPatchesJSON6902",
    "containerdConfigPatches",
    "containerdConfigPatchesJSON6902",
)
_MAPPINGS = ("networking", "featureGates", "runtimeConfig")
_ROLES = ("control-plane", "worker")
# Virtual clusters are many small pods; a node's range of addresses has room for this many (110 is the default).
_KUBELET = "kind: KubeletConfiguration\nmaxPods: 250\n"


def read(path: Path) -> Mapping[str, Any]:
    """What the kind configuration file at `path` holds; SettingsError with the line if it is none."""
    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        document = yaml.safe_load(text)
    except OSError as error:
        raise _wrong(path, None, f"can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _wrong(path, None, f"is no text: {error}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise _wrong(path, line, f"is no YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise _wrong(path, None, f"is no YAML: {error}") from error
    if not isinstance(document, dict) or not isinstance(tree, yaml.MappingNode):
        raise _wrong(path, 1, "is no kind configuration: it holds no fields")
    lines = {key.value: value.start_mark.line + 1 for key, value in tree.value}
    for key, expected in (("kind", "Cluster"), ("apiVersion", _API)):
        if document.get(key, expected) != expected:
            raise _wrong(path, lines[key], f"{key} is {document[key]!r}, but a kind configuration's is {expected!r}")
    for keys, kind, name in ((_LISTS, list, "a list"), (_MAPPINGS, dict, "a mapping")):
        for key in keys:
            if not isinstance(document.get(key, kind()), kind):
                raise _wrong(path, lines[key], f"{key} is no {name.removeprefix('a ')}")
    nodes = next((value for key, value in tree.value if key.value == "nodes"), None)
    if isinstance(nodes, yaml.SequenceNode):
        _check_nodes(path, document["nodes"], lines=[node.start_mark.line + 1 for node in nodes.value])
    return document


def _check_nodes(path: Path, nodes: Sequence[Any], *, lines: Sequence[int]) -> None:
    for node, line in zip(nodes, lines, strict=True):
        if not isinstance(node, dict) or node.get("role") not in _ROLES:
            raise _wrong(path, line, f"a node has a role, one of {', '.join(_ROLES)}")
        mounts = node.get("extraMounts", [])
        if not isinstance(mounts, list) or not all(isinstance(mount, dict) for mount in mounts):
            raise _wrong(path, line, "extraMounts of a node is a list of mappings")


def merged(document: Mapping[str, Any], *, folder: Path, mark: str) -> dict[str, Any]:
    """Our configuration with what the user's says, whose paths start from `folder`; every node bears `mark`."""
    nodes = [dict(node) for node in document.get("nodes") or [{"role": "control-plane"}]]
    for node in nodes:
        mounts = [dict(mount) for mount in node.get("extraMounts", ())]
        for mount in mounts:
            if "hostPath" in mount:  # kind would start from where it is started
                mount["hostPath"] = str(folder / str(mount["hostPath"]))
        node["extraMounts"] = [*mounts, {"hostPath": "/dev/null", "containerPath": mark, "readOnly": True}]
    return {
        **document,
        "kind": "Cluster",
        "apiVersion": _API,
        "nodes": nodes,
        "networking": {"serviceSubnet": KIND_SERVICE_RANGE, **document.get("networking", {})},
        # Patches apply one after the other.
        "kubeadmConfigPatches": [_KUBELET, *document.get("kubeadmConfigPatches", ())],
    }


def rendered(document: Mapping[str, Any]) -> str:
    """The configuration as kind reads it: YAML, of which JSON is a part."""
    return json.dumps(document, indent=2, default=str)


def _wrong(path: Path, line: int | None, problem: str) -> SettingsError:
    where = str(path) if line is None else f"{path}, line {line}"
    return SettingsError(
        f"--vcluster-kind-config: {where}: {problem}.\n"
        "What such a file may hold: https://kind.sigs.k8s.io/docs/user/configuration/"
    )
