"""The pure half stays pure: it can be run a thousand times a second in a test, and means the same every time."""

import ast
from pathlib import Path

import pytest
import vcluster_syncer
from vcluster_syncer.model import ENDPOINT_SLICES, NODES, PODS
from vcluster_syncer.translate import KINDS

ROOT = Path(vcluster_syncer.__file__).parent
MODULES = [
    *(ROOT / f"{name}.py" for name in ("naming", "ownership", "decide", "quantities")),
    *sorted((ROOT / "model").glob("*.py")),
    *sorted((ROOT / "translate").glob("*.py")),
]
# datetime only to read timestamps of objects; `now` comes from the world.
ALLOWED = {
    "__future__",
    "base64",
    "collections",
    "dataclasses",
    "datetime",
    "fractions",
    "hashlib",
    "json",
    "re",
    "typing",
}
PURE = {"model", "naming", "ownership", "decide", "quantities", "translate"}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.stem}/{path.stem}")
def test_imports_neither_engine_nor_anything_with_effects(path: Path) -> None:
    for name in imports(path):
        package, _, rest = name.partition(".")
        assert package in ALLOWED or (package == "vcluster_syncer" and rest.split(".")[0] in PURE), name


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource.plural)
def test_kinds_do_not_import_each_other(kind: object) -> None:
    kinds = {entry.resource.plural for entry in KINDS}
    own = kind.resource.plural  # type: ignore[attr-defined]
    taken = {name.rpartition(".")[2] for name in imports(ROOT / "translate" / f"{own}.py") if "translate" in name}
    assert not (taken & kinds)
    # What several kinds have in common is a module of its own, without a kind in it; pods keep theirs for themselves.
    assert own == "pods" or not [name for name in taken if name.startswith("pod_")]


def test_paths() -> None:
    assert PODS.path("default", "web", "status") == "/api/v1/namespaces/default/pods/web/status"
    assert PODS.path() == "/api/v1/pods"
    assert NODES.path("", "node-1") == "/api/v1/nodes/node-1"
    assert ENDPOINT_SLICES.path("a") == "/apis/discovery.k8s.io/v1/namespaces/a/endpointslices"
    assert (PODS.api_version, ENDPOINT_SLICES.api_version) == ("v1", "discovery.k8s.io/v1")
