"""envtest, as controller-runtime ships it, on the same binaries: what a Go project uses today.

The one rule: its defaults are its own. The Go program in `envtest/` adds a clock and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench import names
from bench.children import tail
from bench.model import Contender, Ground, Metric, NotMeasured, Once, Samples
from pytest_vcluster.errors import VClusterError
from pytest_vcluster.toolchain import Component, golang, guarded, lock
from pytest_vcluster.toolchain.failures import WayFailed
from pytest_vcluster.toolchain.modules import go_line

_SOURCE = Path(__file__).with_name("envtest")
_FILES = ("go.mod", "go.sum", "main.go")
_ASSETS = (Component.KUBE_APISERVER, Component.ETCD, Component.KUBECTL)
_BUILD_SECONDS = 1800.0
# envtest itself tries up to five times, 20 s each.
_TURN_SECONDS = 150.0


@contextlib.contextmanager
def opened(ground: Ground) -> Iterator[Once]:
    """Build the harness if need be and start it; every turn starts and stops one envtest."""
    program = _built(ground)
    directory = ground.folder("envtest")
    assets = directory / "assets"
    assets.mkdir()
    for component in _ASSETS:
        if component in ground.binaries:  # kubectl may be lacking: envtest names it and does not run it
            (assets / component).symlink_to(ground.binaries[component])
    log = directory / "harness.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "KUBEBUILDER_ASSETS": str(assets), "TMPDIR": str(directory)},
            start_new_session=True,  # an interrupt must not end it before it has stopped what it started
        )
    with process:
        try:
            yield lambda: _turn(process, log)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(_TURN_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


CONTENDER = Contender(
    name="envtest",
    about="controller-runtime's envtest, a Go harness on the same binaries",
    metrics=(Metric(name=names.ENVTEST_START, unit="s"), Metric(name=names.ENVTEST_STOP, unit="s")),
    opened=opened,
)


def _turn(process: subprocess.Popen[bytes], log: Path) -> Samples:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"measure\n")
    process.stdin.flush()
    readable, _, _ = select.select([process.stdout], [], [], _TURN_SECONDS)
    line = process.stdout.readline() if readable else b""
    if not line:
        told = "ended" if readable else f"said nothing for {_TURN_SECONDS:.0f} s"
        raise NotMeasured(f"the envtest harness {told}; its last words:\n{tail(log)}")
    answer = json.loads(line)
    if answer.get("error"):
        raise NotMeasured(f"envtest failed: {answer['error']}")
    return {
        names.ENVTEST_START: [float(answer["start_seconds"])],
        names.ENVTEST_STOP: [float(answer["stop_seconds"])],
    }


def _built(ground: Ground) -> Path:
    """The harness, out of the cache or built into it; NotMeasured where there is no Go, or no source to be had."""
    digest = hashlib.sha256(b"\0".join((_SOURCE / name).read_bytes() for name in _FILES)).hexdigest()[:16]
    program = ground.sources.cache / "bench" / f"envtest-{digest}"
    if program.exists():
        return program
    needed = go_line((_SOURCE / "go.mod").read_text(encoding="utf-8"))
    if ground.sources.offline:
        raise NotMeasured(f"the harness is not built yet, and this run is offline ({program} is lacking)")
    try:
        with lock.held(ground.sources, program.name, what="the envtest harness", progress=ground.progress):
            if not program.exists():
                _build(ground, _go(ground, needed), program)
    except WayFailed as failure:
        raise NotMeasured(f"no Go to build the harness with: {failure}") from failure
    except VClusterError as error:
        raise NotMeasured(str(error)) from error
    return program


def _go(ground: Ground, needed: str) -> golang.Go:
    own = golang.find_go(ground.sources)
    return own if own and own.serves(needed) else golang.fetch_go(needed, ground.sources, ground.progress)


def _build(ground: Ground, go: golang.Go, program: Path) -> None:
    program.parent.mkdir(parents=True, exist_ok=True)
    partial = program.with_suffix(".partial")
    ground.progress(f"building the envtest harness with {go.version} (once, usually 2 min on 2 cores)")
    try:
        outcome = guarded.run(
            [go.command, "build", "-mod=readonly", "-trimpath", "-ldflags", "-s -w", "-v", "-o", str(partial), "."],
            cwd=_SOURCE,
            env=golang.go_environ(ground.sources),
            limit_seconds=_BUILD_SECONDS,
            tick_seconds=15.0,
            on_tick=lambda lines, elapsed: ground.progress(
                f"building the envtest harness: {lines} packages, {elapsed:.0f} s gone"
            ),
        )
    except guarded.Overdue as overdue:
        raise NotMeasured(f"the harness can't be built: go build {overdue}") from overdue
    if outcome.code != 0:
        raise NotMeasured(f"the harness can't be built: {outcome.tail()}")
    partial.replace(program)
