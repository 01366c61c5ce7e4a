"""The last way: a build from Go modules, for machines that reach a module proxy but no download site.

The one rule: everything that `go` leaves behind is either in its own caches, which it keeps whole, or in our staging
folder, which the next holder of the lock sweeps.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pytest_vcluster.toolchain import cache, golang, guarded, lock
from pytest_vcluster.toolchain.failures import Missing, WayFailed, disk_full
from pytest_vcluster.toolchain.golang import Go
from pytest_vcluster.toolchain.model import Progress, Sources, Wanted
from pytest_vcluster.toolchain.modules import Recipe, go_line, go_mod, recipe_of, tools_go

# Proxies answer 403 as well as 404 and 410 for a version that they do not have.
_NO_SUCH_VERSION = re.compile(
    r"\b(?:403 Forbidden|404 Not Found|410 Gone)\b|unknown revision|no matching versions", re.ASCII
)
_DISK_FULL = re.compile(r".*no space left on device")
_TOO_OLD = re.compile(r"requires go ?>= ?(\d+\.\d+(?:\.\d+)?)", re.ASCII)
_MODULES_SECONDS = 900.0
_OLDEST_GO = "1.21"


def build(wanted: Wanted, sources: Sources, staging: Path, progress: Progress) -> Path:
    """Build `wanted` in the folder `staging`; returns the executable file. Raises WayFailed or ToolchainError."""
    return build_recipe(recipe_of(wanted), wanted, sources, staging, progress)


def build_recipe(recipe: Recipe, wanted: Wanted, sources: Sources, staging: Path, progress: Progress) -> Path:
    """Build `recipe`, whatever it is, and call the result `wanted`; otherwise as `build`."""
    temporary = staging / "go-tmp"
    temporary.mkdir()
    bench = _Bench(recipe=recipe, wanted=wanted, sources=sources, temporary=temporary, progress=progress)
    go = golang.find_go(sources) or golang.fetch_go(_OLDEST_GO, sources, progress)
    module, go = _prepared_module(bench, go)
    return _compile(bench, go, module, staging / wanted.component)


class _GoTooOld(WayFailed):
    def __init__(self, needed: str) -> None:
        self.needed = needed
        super().__init__(f"it needs Go {needed} or newer")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """What all steps of one build share."""

    recipe: Recipe
    wanted: Wanted
    sources: Sources
    temporary: Path
    progress: Progress

    def step(self, go: Go, *arguments: str, cwd: Path, doing: str) -> str:
        """Run a short `go` command; returns its standard output."""

        def tell(_: int, elapsed: float) -> None:
            self.progress(f"{self.wanted}: {doing}, {elapsed:.0f} s gone")

        return self.run(go, *arguments, cwd=cwd, limit=_MODULES_SECONDS, on_tick=tell)

    def run(self, go: Go, *arguments: str, cwd: Path, limit: float, on_tick: Callable[[int, float], None]) -> str:
        """Run a `go` command; returns its standard output."""
        # Without the flags, which tell a reader nothing and fill half a screen.
        command = f"go {arguments[0]} {arguments[-1]}"
        try:
            outcome = guarded.run(
                [go.command, *arguments],
                cwd=cwd,
                env=golang.go_environ(self.sources, temporary=self.temporary),
                limit_seconds=limit,
                tick_seconds=self.sources.report_seconds,
                on_tick=on_tick,
            )
        except guarded.Overdue as overdue:
            message = f"{command} {overdue}"
            raise WayFailed(message) from overdue
        if outcome.code != 0:
            raise self._failure(command, outcome)
        return outcome.output

    def _failure(self, command: str, outcome: guarded.Outcome) -> Exception:
        said = _explanation(outcome)
        if (full := _DISK_FULL.search(said)) is not None:
            return disk_full(self.sources.cache, f"or of Go's own, see `go env GOCACHE GOMODCACHE`; {full[0]}")
        if (old := _TOO_OLD.search(said)) is not None:
            return _GoTooOld(old[1])
        if _NO_SUCH_VERSION.search(said):
            return Missing(f"the Go module proxy does not have it, or not all that it needs: {said}")
        return WayFailed(f"{command} ended with {outcome.code}: {said}")


def _prepared_module(bench: _Bench, go: Go) -> tuple[Path, Go]:
    """Our own module for the recipe, made once and kept, and a Go that can build it."""
    recipe, sources, progress = bench.recipe, bench.sources, bench.progress
    home = sources.cache / "modules" / recipe.folder
    with lock.held(sources, recipe.folder, what=f"the Go modules of {recipe.module}", progress=progress):
        if not (home / "go.sum").exists():
            progress(f"{bench.wanted}: fetching the source of {recipe.module} {recipe.version} and of all it needs")
            try:
                _make_module(bench, go, home)
            except _GoTooOld as old:
                go = golang.fetch_go(old.needed, sources, progress)
                _make_module(bench, go, home)
    needed = go_line((home / "go.mod").read_text(encoding="utf-8"))
    return home, go if go.serves(needed) else golang.fetch_go(needed, sources, progress)


def _make_module(bench: _Bench, go: Go, home: Path) -> None:
    recipe = bench.recipe
    source = f"{recipe.module}@{recipe.version}"
    fetched = bench.step(
        go, "mod", "download", "-json", source, cwd=bench.temporary, doing=f"fetching the source of {recipe.module}"
    )
    upstream = Path(json.loads(fetched)["GoMod"]).read_text(encoding="utf-8")
    if not go.serves(go_line(upstream)):
        raise _GoTooOld(go_line(upstream))
    with cache.staging(bench.sources.cache, recipe.folder) as draft:
        own = draft / "module"
        own.mkdir()
        (own / "go.mod").write_text(go_mod(recipe, upstream), encoding="utf-8")
        (own / "tools.go").write_text(tools_go(recipe), encoding="utf-8")
        bench.step(go, "mod", "tidy", cwd=own, doing="fetching the modules it needs")
        home.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(home, ignore_errors=True)
        own.replace(home)


def _compile(bench: _Bench, go: Go, module: Path, made: Path) -> Path:
    recipe, wanted = bench.recipe, bench.wanted
    packages = len(bench.step(go, "list", "-deps", recipe.package, cwd=module, doing="counting packages").splitlines())
    bench.progress(f"building {wanted} with {go.version}: {packages} packages, {recipe.usual}")

    def tell(compiled: int, elapsed: float) -> None:
        done = f"{compiled} packages compiled of at most {packages}, {elapsed:.0f} s gone"
        bench.progress(f"building {wanted}: {done}, {recipe.usual}")

    flags = ("-v", "-trimpath", "-ldflags", recipe.linker_flags)
    limit = bench.sources.build_seconds
    bench.run(go, "build", *flags, "-o", str(made), recipe.package, cwd=module, limit=limit, on_tick=tell)
    made.chmod(0o755)
    return made


def _explanation(outcome: guarded.Outcome) -> str:
    try:
        # `go mod download -json` tells its errors on standard output.
        return str(json.loads(outcome.output)["Error"]).strip()
    except (ValueError, KeyError, TypeError):
        return outcome.tail()
