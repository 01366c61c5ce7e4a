"""gRPC routes of the Gateway API."""

from __future__ import annotations

from vcluster_syncer import ownership
from vcluster_syncer.model import GRPC_ROUTES, Key, Kind, Object, Rule, Switch, Tenant
from vcluster_syncer.translate import gateway_api, gateway_routes


def _host_key(host: Object, tenant: Tenant) -> Key | None:
    return ownership.virtual_key(host, tenant, kind=GRPC_ROUTES.kind)


KIND = Kind(
    resource=GRPC_ROUTES,
    reconcile=gateway_routes.reconciler(GRPC_ROUTES),
    host_key=_host_key,
    references=lambda virtual: gateway_api.uses(virtual, GRPC_ROUTES),
    optional=True,
    switch=Switch("to_host", "grpc_routes"),
    host_rules=(Rule.to_carry(GRPC_ROUTES),),
)
