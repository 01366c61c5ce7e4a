"""ServiceAccounts: on the host for what its cloud or its policies grant to them, by their annotations and labels.

The one rule: a host ServiceAccount lends its name only. No token of the host's is ever mounted by it, and it brings
no Secret along: pods have tokens of the virtual cluster, and its admission has given them its image pull secrets.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vcluster_syncer import ownership
from vcluster_syncer.model import (
    SERVICE_ACCOUNTS,
    Key,
    Kind,
    Object,
    Reference,
    Rule,
    Switch,
    Tenant,
    World,
)
from vcluster_syncer.translate import carried, metadata


def to_host(key: Key, virtual: Object, tenant: Tenant) -> dict[str, Any]:
    """Make the host ServiceAccount of a virtual one."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata.to_host(key, virtual, tenant, SERVICE_ACCOUNTS),
        "automountServiceAccountToken": False,
    }


def _wakes(item: Object, world: World) -> Iterable[Reference]:
    # Pods wait for their ServiceAccount to be on the host.
    key = ownership.virtual_key(item, world.tenant, kind=SERVICE_ACCOUNTS.kind)
    return () if key is None else world.users(SERVICE_ACCOUNTS, key)


KIND = Kind(
    resource=SERVICE_ACCOUNTS,
    reconcile=carried.by(SERVICE_ACCOUNTS, to_host, fields=("automountServiceAccountToken",)),
    host_key=carried.key_of(SERVICE_ACCOUNTS),
    wakes=_wakes,
    switch=Switch("to_host", "service_accounts"),
    host_rules=(Rule.to_carry(SERVICE_ACCOUNTS),),
)
