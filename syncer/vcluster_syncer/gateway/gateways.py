"""The gateways of a process: one endpoint for each tenant that has virtual nodes to speak for.

The one rule: an endpoint knows one tenant, and lets in nobody but that tenant's API server, which has its own
authority for the purpose. So no request has to say whose it is, and none can lie about it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from vcluster_syncer.config import EndpointConfig
from vcluster_syncer.engine.tenants import NoSuchTenant, Tenants
from vcluster_syncer.gateway import routes
from vcluster_syncer.gateway.endpoint import Endpoint, Onward
from vcluster_syncer.gateway.http import Request
from vcluster_syncer.gateway.routes import Refused
from vcluster_syncer.gateway.tunnel import dial
from vcluster_syncer.kube.kubeconfig import Server, ssl_context
from vcluster_syncer.model import PODS
from vcluster_syncer.translate import references
from vcluster_syncer.translate.scrub import scrubber


class EndpointExists(Exception):
    """A tenant of that name has an endpoint already."""


class NotListening(Exception):
    """An endpoint can't be had: the address is taken, or a file is missing or wrong."""


@dataclass(slots=True)
class _Kept:
    endpoint: Endpoint
    stack: AsyncExitStack


class Gateways:
    """Who has an endpoint; made by `open`."""

    def __init__(self, tenants: Tenants, host: Server) -> None:
        parts = urlsplit(host.url)
        name = parts.hostname or ""
        tls = ssl_context(host)
        self._tenants = tenants
        self._kept: dict[str, _Kept] = {}
        self._prefix = parts.path.rstrip("/")
        self._host = host
        self._authority = parts.netloc
        self._dial = partial(
            dial,
            name,
            parts.port or (443 if tls else 80),
            ssl=tls,
            server_hostname=(host.server_name or name) if tls else None,
        )

    @classmethod
    @asynccontextmanager
    async def open(cls, tenants: Tenants, host: Server) -> AsyncIterator[Gateways]:
        """No endpoints yet; `host` is where the pods are."""
        gateways = cls(tenants, host)
        try:
            yield gateways
        finally:
            for name in list(gateways._kept):
                await gateways.remove(name)

    async def add(self, name: str, listen: EndpointConfig) -> int:
        """Have an endpoint for the tenant `name`, which needs not be carried yet; returns its port.

        EndpointExists, or NotListening if it can't be had.
        """
        if name in self._kept:
            raise EndpointExists(
                f"tenant {name!r} has a gateway already; DELETE the tenant first, or choose another name"
            )
        async with AsyncExitStack() as stack:
            try:
                endpoint = await stack.enter_async_context(Endpoint.opened(listen, partial(self._onward, name)))
            except OSError as error:
                raise NotListening(
                    f"tenant.gateway: nothing can listen at {listen.address}:{listen.port} with the certificate "
                    f"{listen.certificate}, whose clients are signed by {listen.client_authority}: {error}"
                ) from error
            self._kept[name] = _Kept(endpoint, stack.pop_all())
        return endpoint.port

    async def remove(self, name: str) -> None:
        """Close a tenant's endpoint and all its connections; harmless if it has none."""
        kept = self._kept.pop(name, None)
        if kept is not None:
            await kept.stack.aclose()

    @asynccontextmanager
    async def shut(self, name: str) -> AsyncIterator[None]:
        """Cut a tenant's connections and let nobody in meanwhile; harmless if it has no endpoint."""
        kept = self._kept.get(name)
        if kept is None:
            yield
            return
        async with kept.endpoint.shut():
            yield

    def connections(self, name: str) -> int:
        """How many connections of a tenant are open."""
        kept = self._kept.get(name)
        return 0 if kept is None else kept.endpoint.connections

    def _credentials(self) -> dict[str, str]:
        token = self._host.bearer()
        return {"host": self._authority, **({"authorization": f"Bearer {token}"} if token else {})}

    def _onward(self, name: str, request: Request) -> Onward:
        asked = routes.parse(request)
        try:
            world = self._tenants.world(name)
        except NoSuchTenant as error:
            raise Refused(503, f"the cluster is not carried on the host: {error}") from error
        virtual = world.virtual(PODS, asked.pod)
        host = routes.authorize(asked, virtual, world.host(PODS, asked.pod))
        assert virtual is not None
        uses = references.of_pod(virtual)
        return Onward(
            dial=self._dial,
            head=routes.to_host(asked, request, host, credentials=self._credentials(), prefix=self._prefix),
            scrub=scrubber(PODS, asked.pod, virtual=virtual, host=host, world=world, uses=uses),
            patient=("follow", "true") in asked.options,
        )
