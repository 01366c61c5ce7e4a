"""The toolchain as a program of its own: `python -m pytest_vcluster.toolchain [--offline] kube-apiserver@v1.36.4 ...`.

For processes that must stay responsive, or small, while binaries are got. The one rule: standard output holds JSON
only, one object a line: {"progress": text} any number of times, then {"binaries": [...]} or {"error": text}.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence

from pytest_vcluster.errors import SettingsError, ToolchainError
from pytest_vcluster.toolchain.model import Sources, Wanted
from pytest_vcluster.toolchain.supply import obtain

_LOOK_SECONDS = 0.5


def main(argv: Sequence[str] | None = None) -> int:
    """Obtain what `argv` asks for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pytest_vcluster.toolchain", description=__doc__)
    parser.add_argument("wanted", nargs="+", help="kube-apiserver@v1.36.4, kubectl@1.36, etcd, kwok, helm, kind")
    parser.add_argument("--offline", action="store_true", help="never use the network")
    options = parser.parse_args(argv)
    try:
        wanted = [Wanted.parse(text) for text in options.wanted]
        sources = Sources.from_environ(os.environ, offline=options.offline)
        binaries = obtain(wanted, sources, progress=lambda line: _print({"progress": line}))
    except (SettingsError, ToolchainError) as error:
        _print({"error": str(error)})
        return 1
    _print(
        {
            "binaries": [
                {
                    "component": binary.component.value,
                    "version": binary.version,
                    "path": str(binary.path),
                    "source": binary.source.value,
                }
                for binary in binaries
            ]
        }
    )
    return 0


def _print(document: object) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def _end_with_parent(parent: int) -> None:
    # A build may take minutes; when nobody waits for it any more it must not go on, and `go` ends when we do.
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    sys.exit(main())
