"""HTTP routes of the Gateway API."""

from __future__ import annotations

from vcluster_syncer import ownership
from vcluster_syncer.model import HTTP_ROUTES, Key, Kind, Object, Rule, Switch, Tenant
from vcluster_syncer.translate import gateway_api, gateway_routes


def _host_key(host: Object, tenant: Tenant) -> Key | None:
    return ownership.virtual_key(host, tenant, kind=HTTP_ROUTES.kind)


KIND = Kind(
    resource=HTTP_ROUTES,
    reconcile=gateway_routes.reconciler(HTTP_ROUTES),
    host_key=_host_key,
    references=lambda virtual: gateway_api.uses(virtual, HTTP_ROUTES),
    optional=True,
    switch=Switch("to_host", "http_routes"),
    host_rules=(Rule.to_carry(HTTP_ROUTES),),
)
