"""A kubelet that asks nobody who he is, behind an endpoint that does.

kwok's simulated nodes have such a kubelet, and it runs commands: on a machine with several users it must not listen to
all of them. The one rule: it knows all pods under one secret namespace, which requests get here, after their client has
shown the certificate that only the host's API server has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final
from urllib.parse import quote, urlencode

from vcluster_syncer.config import GuardedKubelet
from vcluster_syncer.gateway.endpoint import Endpoint, Onward
from vcluster_syncer.gateway.http import Request, render_request
from vcluster_syncer.gateway.routes import Refused, negotiation
from vcluster_syncer.gateway.tunnel import dial

_ENDPOINTS: Final = frozenset(("attach", "containerLogs", "exec", "portForward"))


@asynccontextmanager
async def guarded(kubelet: GuardedKubelet | None) -> AsyncIterator[None]:
    """Guard a kubelet, if there is one to guard."""
    if kubelet is None:
        yield
        return
    async with Endpoint.opened(kubelet.endpoint, partial(onward, kubelet)):
        yield


def onward(kubelet: GuardedKubelet, request: Request) -> Onward:
    """Where a request goes on to; Refused for what has no pod's namespace in it."""
    match request.path:
        case (endpoint, namespace, *rest) if endpoint in _ENDPOINTS and rest:
            path = "/".join(quote(part, safe="") for part in (endpoint, kubelet.namespace, *rest))
        case _:
            raise Refused(404, f"no such endpoint: /{'/'.join(request.path)}")
    target = f"/{path}?{urlencode(request.query)}" if request.query else f"/{path}"
    authority = f"{kubelet.address}:{kubelet.port}"
    return Onward(
        dial=partial(dial, kubelet.address, kubelet.port),
        head=render_request(request.method, target, [("host", authority), *negotiation(request)]),
        scrub=lambda said: said.replace(kubelet.namespace, namespace),
        patient=("follow", "true") in request.query,
    )
