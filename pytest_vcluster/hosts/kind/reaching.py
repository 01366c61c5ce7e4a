"""Whether this machine reaches the API server of a kind cluster at the address that its kubeconfig says.

The one rule: where it doesn't, another address is used if there is one, and if not that is told at once instead of by
whoever meets it first. Docker publishes the API server on a port of the machine that Docker is on, which is another one
for whoever runs in a container that was given Docker's socket, or uses a Docker elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlsplit

import yaml

from pytest_vcluster.errors import HostError

API_PORT = 6443
_REACH_SECONDS = 3.0


async def answers(address: str, port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        async with asyncio.timeout(_REACH_SECONDS):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


def server_of(kubeconfig: str) -> str:
    """The URL of the API server in a kubeconfig that kind wrote."""
    document = yaml.safe_load(kubeconfig)
    return str(document["clusters"][0]["cluster"]["server"])


async def usable(kubeconfig: str, *, name: str, node: str, direct: bool) -> str:
    """The kubeconfig with an address that answers: its own, else that of `node` if nodes are reached at theirs.

    HostError if none does.
    """
    server = server_of(kubeconfig)
    parts = urlsplit(server)
    if await answers(parts.hostname or "", parts.port or API_PORT):
        return kubeconfig
    if direct:
        host = f"[{node}]" if ":" in node else node
        return kubeconfig.replace(server, f"https://{host}:{API_PORT}")
    raise HostError(
        f"The API server of the kind cluster {name} can't be reached from here, neither at {server} nor at its node's "
        f"address {node}:{API_PORT}.\n"
        "Is Docker on another machine (DOCKER_HOST), or are these tests in a container that was given Docker's socket? "
        "Join that container to the Docker network `kind`, or publish the API server where this machine reaches it: "
        "networking.apiServerAddress in the file of --vcluster-kind-config."
    )
