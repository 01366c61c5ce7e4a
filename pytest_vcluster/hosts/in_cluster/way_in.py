"""How the two servers of a pod are reached from here where nodes can't be: through the host's API server.

The one rule: every connection is a stream of its own. A host API server that restarts cuts those that are open, as any
server's restart does; the next connection finds its way again.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Sequence

from pytest_vcluster.controlplane.addresses import Address
from pytest_vcluster.controlplane.port_forward import carry
from pytest_vcluster.hosts.in_cluster.host_api import HostServer

LOCAL = "127.0.0.1"


@contextlib.asynccontextmanager
async def forwarded(server: HostServer, pod: str, ports: Sequence[int]) -> AsyncIterator[Sequence[Address]]:
    """Local addresses that lead to `ports` of the pod at the path `pod`, for as long as the context lasts."""
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for port in ports:
            path = f"{pod}/portforward"
            listening = await asyncio.start_server(functools.partial(carry, server, path, port), LOCAL, 0)
            await stack.enter_async_context(listening)
            found.append(Address(LOCAL, listening.sockets[0].getsockname()[1]))
        yield found
