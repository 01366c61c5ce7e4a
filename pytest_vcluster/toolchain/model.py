"""The words of the toolchain as values: what is wanted, what was found, where to look.

Everything here is frozen and cheap to import. The one rule: nothing outside `Sources.from_environ` reads the
environment, so that a search means the same in every process and in every test.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_vcluster.errors import SettingsError
from pytest_vcluster.toolchain.sites import Sites
from pytest_vcluster.toolchain.versions import (
    ETCD_VERSION,
    HELM_VERSION,
    KIND_VERSION,
    KWOK_VERSION,
    is_minor,
    resolve_version,
)

Progress = Callable[[str], None]
"""Takes one line, meant for people, of what long work is doing."""

K8S_SITE = "https://dl.k8s.io"
GITHUB_SITE = "https://github.com"
GITHUB_API = "https://api.github.com"
HELM_SITE = "https://get.helm.sh"


class Component(enum.StrEnum):
    """A program that a run needs; the value is its file name."""

    ETCD = "etcd"
    KUBE_APISERVER = "kube-apiserver"
    KUBE_CONTROLLER_MANAGER = "kube-controller-manager"
    KUBE_SCHEDULER = "kube-scheduler"
    KUBECTL = "kubectl"
    KWOK = "kwok"
    HELM = "helm"
    KIND = "kind"

    @property
    def is_kubernetes(self) -> bool:
        """Whether it is released with Kubernetes and bears its version."""
        return self not in KNOWN_VERSION


KNOWN_VERSION = {
    Component.ETCD: ETCD_VERSION,
    Component.KWOK: KWOK_VERSION,
    Component.HELM: HELM_VERSION,
    Component.KIND: KIND_VERSION,
}
"""What has releases of its own, and the one that this release of the plugin is tested with."""


class Source(enum.StrEnum):
    """Which of the four ways a binary came."""

    NAMED = "named"
    CACHE = "cache"
    DOWNLOAD = "download"
    BUILD = "build"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One binary of one full version."""

    component: Component
    version: str
    floating: bool = False
    """The user asked for a minor: an earlier patch release of it will do where `version` is not to be had."""

    @classmethod
    def parse(cls, text: str) -> Wanted:
        """What `kube-apiserver@v1.36.4`, `kube-apiserver@1.36` (floating) or `etcd` asks for, else SettingsError."""
        name, _, asked = text.partition("@")
        try:
            component = Component(name)
        except ValueError:
            message = f"{text!r} names no binary: {name!r} is none of {', '.join(Component)}."
            raise SettingsError(message) from None
        if component.is_kubernetes:
            return cls(component, resolve_version(asked), floating=is_minor(asked))
        return cls(component, asked or KNOWN_VERSION[component])

    @classmethod
    def known(cls, component: Component) -> Wanted:
        """`component`, which has releases of its own, in the release that this plugin is tested with."""
        return cls(component, KNOWN_VERSION[component])

    def __str__(self) -> str:
        return f"{self.component} {self.version}"


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary that is there: complete, verified, and at `path` for as long as nobody clears the cache."""

    component: Component
    version: str
    path: Path
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where a run looks for binaries, and how long it waits there."""

    cache: Path
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The user's environment: names binaries, and is what `go` and `pip` are started with."""
    offline: bool = False
    k8s_mirror: str = K8S_SITE
    github_mirror: str = GITHUB_SITE
    helm_mirror: str = HELM_SITE
    github_api: str = GITHUB_API
    """Tells the digests of release assets; empty: a `.sha256` file beside the asset does (mirrors)."""
    answer_seconds: float = 3.0
    """A site that has sent no answer after this long counts as unreachable for the whole run."""
    stall_seconds: float = 30.0
    """A download that brings nothing for this long is given up."""
    build_seconds: float = 3600.0
    """A build, one's own or another process's that is waited for, is given up after this long."""
    report_seconds: float = 4.0
    """Long work tells how far it is this often."""
    sites: Sites = field(default_factory=Sites, compare=False, repr=False)
    """What was learnt about sites so far; shared by all searches with these sources."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], *, offline: bool) -> Sources:
        """The sources that `environ` describes: cache folder, mirrors, named paths."""
        github = environ.get("PYTEST_VCLUSTER_GITHUB_MIRROR", "").rstrip("/")
        return cls(
            cache=cache_folder(environ),
            environ=dict(environ),
            offline=offline,
            k8s_mirror=environ.get("PYTEST_VCLUSTER_K8S_MIRROR", "").rstrip("/") or K8S_SITE,
            github_mirror=github or GITHUB_SITE,
            helm_mirror=environ.get("PYTEST_VCLUSTER_HELM_MIRROR", "").rstrip("/") or HELM_SITE,
            github_api="" if github else GITHUB_API,
        )


def cache_folder(environ: Mapping[str, str]) -> Path:
    """`$PYTEST_VCLUSTER_CACHE`, else `$XDG_CACHE_HOME/pytest-vcluster`, else `~/.cache/pytest-vcluster`."""
    if own := environ.get("PYTEST_VCLUSTER_CACHE"):
        return Path(own).absolute()
    xdg = environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path is to be ignored.
    base = Path(xdg) if xdg.startswith("/") else Path(environ.get("HOME") or Path.home()) / ".cache"
    return base / "pytest-vcluster"


def unique(wanted: Iterable[Wanted]) -> tuple[Wanted, ...]:
    """`wanted` without repetitions, in order."""
    return tuple(dict.fromkeys(wanted))
