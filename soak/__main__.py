"""The command line: `python -m soak [N] [--seed S] [--workers W] [--versions 1.36,1.37] [--replay SEED[,SEED...]]`.

The one rule: it ends with 1 if any cluster was not like a fresh one, or could not be had; with 2 for a wrong argument.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from pytest_vcluster.errors import SettingsError, VClusterError
from pytest_vcluster.settings import DEFAULT_NODES, Settings
from pytest_vcluster.toolchain.versions import DEFAULT_MINOR, resolve_version
from soak.driver import Soak
from soak.scenario import LOOK

_SEEDS_APART = 1_000_000


def main(arguments: Sequence[str]) -> int:
    """Soak, and tell."""
    asked = _asked(arguments)
    try:
        versions = tuple(resolve_version(version) for version in asked.versions.split(","))
    except SettingsError as error:
        _tell(str(error))
        return 2
    workers = 1 if asked.replay else asked.workers
    # Beside those in use: one per version to compare with; and one that is being prepared, unless each lease is to
    # have the very cluster of the lease before.
    pool = workers + len(versions) + (0 if asked.replay else 1)
    settings = Settings(versions=versions, pool=pool, nodes=DEFAULT_NODES, timeout=asked.timeout)
    seeds = asked.replay or [asked.seed * _SEEDS_APART + number for number in range(asked.leases)]
    seeds += [LOOK.seed] * workers * len(versions)
    began = time.monotonic()

    def tell(text: str) -> None:
        _tell(f"[{time.monotonic() - began:7.1f} s] {text}")

    soak = Soak(settings, workers=workers, tell=tell, most_failures=asked.most_failures)
    try:
        totals = soak.run(seeds)
    except VClusterError as error:
        _tell(f"The soak can't go on: {error}")
        return 1
    except KeyboardInterrupt:
        _tell("interrupted")
        return 130
    _tell(f"\n{time.monotonic() - began:.0f} s with {workers} holders\n{soak.figures.summary(totals)}")
    return 1 if soak.figures.failed else 0


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m soak", description="Random leases, each compared with a fresh one."
    )
    parser.add_argument("leases", nargs="?", type=int, default=100, metavar="N", help="how many leases (100)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="another soak (0)")
    parser.add_argument("--workers", type=int, default=2, metavar="W", help="leases held at once (2)")
    parser.add_argument("--versions", default=DEFAULT_MINOR, metavar="V[,V]", help=f"in turns ({DEFAULT_MINOR})")
    parser.add_argument("--replay", type=_seeds, metavar="SEED[,SEED]", help="these leases, one after another")
    parser.add_argument("--timeout", type=float, default=60.0, metavar="S", help="the longest wait for a cluster (60)")
    parser.add_argument("--most-failures", type=int, default=20, metavar="N", help="give up after so many (20)")
    return parser.parse_args(arguments)


def _seeds(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
