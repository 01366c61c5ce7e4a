"""How each component is built from Go modules, as pure text: a go.mod, a file of imports, linker flags.

`go install k8s.io/kubernetes/cmd/...@v` is refused, because that module replaces its own parts by folders of its
repository. The one rule: we build from a module of our own that requires it, with every `k8s.io/* v0.0.0` replaced by
the release of the same day; Go's checksum database vouches for each source file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_vcluster.toolchain.model import Component, Wanted
from pytest_vcluster.toolchain.versions import minor_of

_STAGED = re.compile(r"^\s+(k8s\.io/\S+) v0\.0\.0(?:\s|$)", re.MULTILINE)
_GO_LINE = re.compile(r"^go ((\d+)\.(\d+)(?:\.(\d+))?\S*)\s*$", re.MULTILINE)
_KUBERNETES = "k8s.io/kubernetes"
_KUBERNETES_COMMANDS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
# Module, the command's folder in it, and the variable that is told the version; kind and etcd know theirs.
_OTHERS = {
    Component.ETCD: ("go.etcd.io/etcd/server/v3", "", ""),
    Component.KWOK: ("sigs.k8s.io/kwok", "cmd/kwok", "pkg/consts.Version"),
    Component.HELM: ("helm.sh/helm/v4", "cmd/helm", "internal/version.version"),
    Component.KIND: ("sigs.k8s.io/kind", "", ""),
}
_USUAL_SECONDS = {
    Component.ETCD: 60,
    Component.KUBE_APISERVER: 300,
    Component.KUBE_CONTROLLER_MANAGER: 110,
    Component.KUBE_SCHEDULER: 15,
    Component.KUBECTL: 30,
    Component.KWOK: 100,
    Component.HELM: 200,
    Component.KIND: 20,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to build, out of which module."""

    module: str
    version: str
    package: str
    imports: tuple[str, ...]
    """Packages that the module of our own must be able to build; the same for all components of one module."""
    linker_flags: str
    usual_seconds: int
    """On two cores; what this project measured."""
    after: str = ""
    """The component whose packages that time takes for compiled already; empty: none are."""

    @property
    def usual(self) -> str:
        """How long it takes, in words."""
        seconds = self.usual_seconds
        duration = f"{seconds} s" if seconds < 90 else f"{round(seconds / 60)} min"
        state = f"after {self.after}, minutes more without" if self.after else "when nothing is compiled yet"
        return f"usually {duration} on 2 cores {state}"

    @property
    def folder(self) -> str:
        """Name of a folder for our own module."""
        return f"{self.module.replace('/', '_')}@{self.version}"


def recipe_of(wanted: Wanted) -> Recipe:
    """The recipe for `wanted`."""
    component, version = wanted.component, wanted.version
    usual = _USUAL_SECONDS[component]
    if not component.is_kubernetes:
        module, folder, stamp = _OTHERS[component]
        package = f"{module}/{folder}".rstrip("/")
        return Recipe(
            module=module,
            version=version,
            package=package,
            imports=(package,),
            linker_flags="-s -w" + (f" -X {module}/{stamp}={version}" if stamp else ""),
            usual_seconds=usual,
        )
    return Recipe(
        module=_KUBERNETES,
        version=version,
        package=f"{_KUBERNETES}/cmd/{component}",
        imports=tuple(f"{_KUBERNETES}/cmd/{command}" for command in _KUBERNETES_COMMANDS),
        linker_flags=_kubernetes_stamp(version),
        usual_seconds=usual,
        after="" if component is Component.KUBE_APISERVER else Component.KUBE_APISERVER,
    )


def go_mod(recipe: Recipe, upstream: str) -> str:
    """Our own module's go.mod, given the go.mod of the module that is built."""
    staged = "v0" + recipe.version.removeprefix("v1")
    replaces = "".join(f"\t{path} => {path} {staged}\n" for path in sorted(set(_STAGED.findall(upstream))))
    name = recipe.module.rpartition("/")[2]
    return (
        f"module pytest-vcluster.invalid/{name}\n\n"
        f"go {go_line(upstream)}\n\n"
        f"require {recipe.module} {recipe.version}\n" + (f"\nreplace (\n{replaces})\n" if replaces else "")
    )


def tools_go(recipe: Recipe) -> str:
    """The Go file that makes `go mod tidy` keep everything that the build needs."""
    imports = "".join(f'\t_ "{package}"\n' for package in recipe.imports)
    return f"//go:build tools\n\npackage tools\n\nimport (\n{imports})\n"


def go_line(go_mod_text: str) -> str:
    """The Go version that a go.mod asks for; 1.16 where it asks for none, as Go has it."""
    match = _GO_LINE.search(go_mod_text)
    return match[1] if match else "1.16"


def go_version_key(text: str) -> tuple[int, int, int]:
    """A Go version ("1.26.0", "go1.26.8", "go1.26rc1") in a form that compares; zeros when it is none."""
    match = re.match(r"(?:go)?(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else (0, 0, 0)


def _kubernetes_stamp(version: str) -> str:
    minor = minor_of(version).partition(".")[2]
    fields = {
        "gitVersion": version,
        "gitMajor": "1",
        "gitMinor": minor,
        "gitTreeState": "clean",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    stamps = [f"-X {package}.{field}={value}" for package in packages for field, value in fields.items()]
    return " ".join(["-s -w", *stamps])
