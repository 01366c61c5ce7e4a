"""Runs that have nothing but a kind cluster: what its life and death are tested with, without all that is put on it.

Started as `python only_kind.py SETTINGS.json`, it is such a run's controller: it asks for the host, prints a line of
JSON about it, and ends with its input.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from pytest_vcluster.service import client
from pytest_vcluster.settings import Settings

SECONDS = 300.0


@contextlib.asynccontextmanager
async def opened(settings, directory, *, starter, register, progress, will, begun):
    """The backplane: a kind cluster, with the images that ONLY_KIND_IMAGES names."""
    from pytest_vcluster.hosts import binaries, kind  # noqa: PLC0415 - of the service only
    from pytest_vcluster.toolchain import Component, Sources, Wanted  # noqa: PLC0415

    wanted = [Wanted.known(Component.KIND)]
    sources = Sources.from_environ(os.environ, offline=settings.offline)
    found = await binaries.have(wanted, sources, register=register, progress=progress)
    async with kind.running(
        settings,
        directory=directory,
        starter=starter,
        register=register,
        progress=progress,
        will=will,
        kind_binary=found[Component.KIND].path,
    ) as host:
        await host.load(os.environ.get("ONLY_KIND_IMAGES", "").split(), progress)

        async def host_ready():
            return {
                "name": host.name,
                "kubeconfig": str(host.kubeconfig),
                "version": host.version,
                "direct": host.direct,
                "way_back": host.way_back,
                "nodes": [node.name for node in host.nodes],
            }

        yield SimpleNamespace(failed=asyncio.Event(), deaths=[], host_ready=host_ready)


def main() -> None:
    settings = Settings.from_json(json.loads(Path(sys.argv[1]).read_text()))
    run = replace(client.Run.of_controller(), backplane="only_kind:opened", ahead="")
    print(json.dumps({"run": run.id, "directory": str(run.directory)}), flush=True)

    said = []

    def tell(text: str) -> None:
        if text not in said:
            said.append(text)
            sys.stderr.write(f"{text}\n")

    facts = client.host_info(run, settings, timeout=SECONDS, on_progress=tell)
    print(json.dumps(facts), flush=True)
    sys.stdin.read()
    client.shut_down(run, timeout=60)


if __name__ == "__main__":
    main()
