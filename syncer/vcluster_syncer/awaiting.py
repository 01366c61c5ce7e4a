"""Waits until an API server answers 200 to each of some paths: `python -m vcluster_syncer.awaiting`.

It is a pod's postStart hook, which holds back the containers below the syncer until they have somebody to talk to.
Meanwhile kubelet neither tells how the pod is nor starts anew what has died in it, so it ends as soon as waiting is in
vain. The one rule: it ends with status 0 whatever happens, because a hook that fails has the syncer killed; what is
wrong then is for the syncer and those containers to say.
"""

from __future__ import annotations

import argparse
import http.client
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from vcluster_syncer.kube import kubeconfig
from vcluster_syncer.recycle.processes import PROC, listing

_PAUSE_SECONDS = 0.025
_LOOK_SECONDS = 0.25
_ANSWER_SECONDS = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Wait; returns the exit status, which is 0."""
    parser = argparse.ArgumentParser(prog="vcluster-syncer-awaiting", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds after which to end anyway (60)")
    parser.add_argument(
        "--while",
        dest="needed",
        action="append",
        default=[],
        metavar="COMMAND",
        help="end when no such process is left",
    )
    parser.add_argument("--processes", type=Path, default=PROC, help=f"where the system lists them ({PROC})")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="what has to answer 200, one after the other")
    options = parser.parse_args(arguments)
    try:
        server = kubeconfig.load(options.kubeconfig)

        def missing() -> str:
            there = {process.command for process in listing(options.processes)}
            return ", ".join(sorted(set(options.needed) - there))

        lacking = wait(options.paths, asking(server), missing=missing, timeout=options.timeout)
    except kubeconfig.KubeconfigError as error:
        lacking = str(error)
    if lacking:
        sys.stderr.write(f"vcluster-syncer: {lacking}\n")
    return 0


def wait(paths: Sequence[str], ask: Callable[[str], int | str], *, missing: Callable[[], str], timeout: float) -> str:
    """Wait until `ask` has answered 200 to each of `paths`; returns what was last seen where that is in vain.

    It is when it takes too long, or when `missing` names processes.
    """
    began = looked = time.monotonic()
    for path in paths:
        while (seen := ask(path)) != http.client.OK:
            now = time.monotonic()
            if now - began > timeout:
                return f"{path}: {seen}, after {timeout:g} s"
            if now - looked > _LOOK_SECONDS:
                looked = now
                if gone := missing():
                    return f"{path}: {seen}, and there is no {gone}"
            time.sleep(_PAUSE_SECONDS)
    return ""


def asking(server: kubeconfig.Server) -> Callable[[str], int | str]:
    """Make a function that asks `server` for a path: the HTTP status, or why there was none."""
    parts = urlsplit(server.url)
    context = kubeconfig.ssl_context(server)
    headers = {"Authorization": f"Bearer {server.token}"} if server.token else {}

    def ask(path: str) -> int | str:
        if context is None:
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_ANSWER_SECONDS)
        else:
            connection = http.client.HTTPSConnection(
                parts.hostname or "", parts.port, timeout=_ANSWER_SECONDS, context=context
            )
        try:
            connection.request("GET", path, headers=headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            connection.close()

    return ask


if __name__ == "__main__":
    sys.exit(main())
