"""ServiceAccounts: on the host for what its cloud or its policies grant to them, by their annotations and labels.

The one rule: a host ServiceAccount lends its name only. No token of the host's is ever mounted by it, and it brings
no Secret along: pods have tokens of the virtual cluster, and its admission has given them its image pull secrets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import (
    SERVICE_ACCOUNTS,
    Action,
    Key,
    Kind,
    Object,
    Reference,
    Rule,
    Switch,
    Tenant,
    World,
)
from vcluster_syncer.translate import metadata


def to_host(key: Key, virtual: Object, tenant: Tenant) -> dict[str, Any]:
    """Make the host ServiceAccount of a virtual one."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata.to_host(key, virtual, tenant, SERVICE_ACCOUNTS),
        "automountServiceAccountToken": False,
    }


def _difference(host: Object, wanted: Object) -> Object:
    automount = decide.fields_patch(host, wanted, ("automountServiceAccountToken",))
    return {**metadata.difference(host, wanted), **automount}


def reconcile(key: Key, virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
    """Carry a ServiceAccount."""
    return decide.carry(
        SERVICE_ACCOUNTS,
        key,
        virtual,
        host,
        world,
        to_host=lambda wanted: to_host(key, wanted, world.tenant),
        difference=_difference,
    )


def _host_key(host: Object, tenant: Tenant) -> Key | None:
    return ownership.virtual_key(host, tenant, kind=SERVICE_ACCOUNTS.kind)


def _wakes(item: Object, world: World) -> Iterable[Reference]:
    # Pods wait for their ServiceAccount to be on the host.
    key = _host_key(item, world.tenant)
    return () if key is None else world.users(SERVICE_ACCOUNTS, key)


KIND = Kind(
    resource=SERVICE_ACCOUNTS,
    reconcile=reconcile,
    host_key=_host_key,
    wakes=_wakes,
    switch=Switch("to_host", "service_accounts"),
    host_rules=(Rule.to_carry(SERVICE_ACCOUNTS),),
)
