"""The command line.

The one rule: it ends when told to. SIGTERM, SIGINT and, with `--until-stdin-closes`, the end of whoever holds the other
end of stdin all end it the same way, at once and with status 0.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from vcluster_syncer.config import Config, load
from vcluster_syncer.fields import ConfigError
from vcluster_syncer.gateway.gateways import NotListening
from vcluster_syncer.kube.kubeconfig import KubeconfigError
from vcluster_syncer.pod.rules import rules as rules_of_pod
from vcluster_syncer.service import serve
from vcluster_syncer.switches import as_rbac, host_rules, selected
from vcluster_syncer.translate import KINDS

_USAGE_ERROR = 2
_GARBAGE = (20_000, 10, 20)
"""So many new objects until the young ones are searched, and so many such searches until the older ones are."""


def run(arguments: Sequence[str]) -> int:
    """Run the syncer; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="vcluster-syncer", description="Carries the pods, services and volumes of virtual clusters on a host."
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the configuration, JSON")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end when standard input does, so as not to outlive a parent"
    )
    parser.add_argument(
        "--host-rules", action="store_true", help="print the rights on the host that the configuration needs, and end"
    )
    options = parser.parse_args(arguments)
    status = 0
    try:
        config = load(options.config)
        if options.host_rules:
            rules = as_rbac(host_rules(selected(KINDS, config.switches), besides=rules_of_pod(config)))
            sys.stdout.write(f"{json.dumps(rules, indent=2)}\n")
        else:
            _carry(config, until_stdin_closes=options.until_stdin_closes)
    except* (ConfigError, KubeconfigError, NotListening) as errors:
        for error in _single(errors):
            sys.stderr.write(f"vcluster-syncer: {error}\n")
        status = _USAGE_ERROR
    return status


def _single(errors: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _single(error)
        else:
            yield error


def _carry(config: Config, *, until_stdin_closes: bool) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=config.log_level.upper(),
        format="%(asctime)s %(levelname).1s %(name)s: %(message)s",
    )
    # What is remembered are trees of JSON, which have no cycles. To search them for some, as often as Python does by
    # default, stops everything for as long as there is to search.
    gc.freeze()
    gc.set_threshold(*_GARBAGE)
    asyncio.run(_run(config, until_stdin_closes=until_stdin_closes))


async def _run(config: Config, *, until_stdin_closes: bool) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_stdin_closes:
        # A thread, because stdin may be a file or a terminal, which the event loop can't watch everywhere.
        threading.Thread(target=_drain_stdin, args=(loop, stop), daemon=True, name="stdin").start()
    await serve(config, KINDS, stop=stop)


def _drain_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        # Closed from the start: it is as much at its end as it can be.
        pass
    if not loop.is_closed():
        loop.call_soon_threadsafe(stop.set)
