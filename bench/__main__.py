"""The command line: `python -m bench [NAME...] [--runs N] [--json FILE] [--quick]`.

The one rule: it ends with 0 whatever the figures are; 2 for a wrong argument, 1 when the binaries can't be had.
"""

from __future__ import annotations

import argparse
import datetime
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import (
    bare,
    carry,
    harness,
    leases,
    machine,
    memory,
    on_kind,
    operator_suite,
    ours,
    plugin,
    pristine,
    quotients,
    recycle,
    results,
    rounds,
    table,
    targets,
)
from bench.model import Contender, Ground
from pytest_vcluster.errors import SettingsError, VClusterError
from pytest_vcluster.toolchain import Component, Sources, Wanted, obtain
from pytest_vcluster.toolchain.versions import DEFAULT_MINOR

CONTENDERS: tuple[Contender, ...] = (
    harness.CONTENDER,
    bare.FRESH,
    bare.TEMPLATE,
    ours.FIRST,
    ours.WARM,
    ours.BACK_TO_BACK,
    pristine.CONTENDER,
    operator_suite.OPERATOR,
    operator_suite.BRIEF,
    recycle.CONTENDER,
    carry.CONTENDER,
    leases.CONTENDER,
    memory.CONTENDER,
    on_kind.CONTENDER,
    plugin.IMPORT,
    plugin.UNUSED,
)
_REPOSITORY = Path(__file__).resolve().parent.parent
_ROUNDS = 5
_QUICK_ROUNDS = 2


def main(arguments: Sequence[str]) -> int:
    """Measure, print, write."""
    asked = _asked(arguments)
    if asked.list:
        print("\n".join(f"{contender.name:12} {contender.about}" for contender in CONTENDERS))
        return 0
    chosen = [contender for contender in CONTENDERS if not asked.names or contender.name in asked.names]
    count = asked.runs or (_QUICK_ROUNDS if asked.quick else _ROUNDS)
    now = datetime.datetime.now().astimezone()
    try:
        with _ground(asked.kubernetes, quick=asked.quick) as ground:
            described = machine.describe(repository=_REPOSITORY, kubernetes=ground.version)
            outcome = rounds.run(chosen, ground, rounds=count)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except VClusterError as error:
        print(f"Nothing was measured: {error}", file=sys.stderr)
        return 1
    quotients.add(outcome, [metric for contender in chosen for metric in contender.metrics])
    described |= {"date": now.isoformat(timespec="seconds"), "load_afterwards": machine.load()}
    rows = {metric.name for contender in chosen for metric in contender.metrics}
    verdicts = targets.judge(outcome, [target for target in targets.TARGETS if target.metric in rows])
    print(_heading(described, count))
    print(table.render(chosen, outcome))
    if verdicts:
        print(f"\n{table.render_targets(verdicts)}")
    name = "-".join(contender.name for contender in chosen) if asked.names else "all"
    path = asked.json or results.default_path(
        _REPOSITORY / "bench" / "results", name=f"{name}-quick" if asked.quick else name, now=now
    )
    written = results.document(chosen, outcome, verdicts, machine=described, rounds=count, quick=asked.quick)
    results.write(path, written)
    print(f"\nwritten to {path}")
    return 0


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    known = [contender.name for contender in CONTENDERS]
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures side by side, and judges nothing.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all when none is given")
    parser.add_argument("--runs", type=int, metavar="N", help=f"rounds; {_ROUNDS}, with --quick {_QUICK_ROUNDS}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures (bench/results/...)")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and shorter turns: does it work at all?")
    parser.add_argument("--kubernetes", default=DEFAULT_MINOR, metavar="VERSION", help="a minor or a patch release")
    parser.add_argument("--list", action="store_true", help="tell what can be measured")
    asked = parser.parse_args(arguments)
    if unknown := [name for name in asked.names if name not in known]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}")
    if asked.runs is not None and asked.runs < 1:
        parser.error("--runs must be at least 1")
    return asked


@contextmanager
def _ground(kubernetes: str, *, quick: bool) -> Iterator[Ground]:
    began = time.monotonic()

    def progress(line: str) -> None:
        print(f"[{time.monotonic() - began:6.1f} s] {line}", file=sys.stderr, flush=True)

    sources = Sources.from_environ(os.environ, offline=False)
    wanted = [
        Wanted.parse(f"{component}@{kubernetes}" if component.is_kubernetes else component) for component in Component
    ]
    binaries = {binary.component: binary for binary in obtain(wanted, sources, progress=progress)}
    directory = Path(tempfile.mkdtemp(prefix="pvb-"))
    try:
        yield Ground(
            version=binaries[Component.KUBE_APISERVER].version,
            sources=sources,
            binaries={component: binary.path for component, binary in binaries.items()},
            directory=directory,
            repository=_REPOSITORY,
            quick=quick,
            progress=progress,
        )
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _heading(described: Mapping[str, Any], count: int) -> str:
    return (
        f"\n{described['date']}  {described['cores']} cores, {described['memory_mb']} MB, {described['system']} "
        f"{described['kernel']}, Python {described['python']}, Kubernetes {described['kubernetes']}, "
        f"load {described['load']:.1f} before, {described['load_afterwards']:.1f} after, {count} rounds\n"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
