"""Which kinds a configuration turns on, and which rights on the host these need.

The one rule: both are read off the rows of the kinds and nothing else, so that configuration, chart and syncer can't
disagree about what there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from vcluster_syncer.fields import ConfigError
from vcluster_syncer.model import NAMESPACES, NODES, Kind, Rule, Tenant


def selected(kinds: Sequence[Kind], chosen: Mapping[str, bool]) -> tuple[Kind, ...]:
    """Return the kinds that are on; `chosen` is `Config.switches`. ConfigError for what there is no switch for.

    Where a resource has a row without a switch and one that is turned on, the latter takes its place: it does the same
    with more rights.
    """
    switches = {kind.switch.path: kind.switch for kind in kinds if kind.switch is not None}
    if unknown := sorted(set(chosen) - set(switches)):
        raise ConfigError(f"sync: unknown {', '.join(unknown)}; known are {', '.join(sorted(switches))}")
    on = tuple(kind for kind in kinds if kind.switch is None or chosen.get(kind.switch.path, kind.switch.on))
    by_resource: dict[object, Kind] = {}
    for kind in on:
        other = by_resource.setdefault(kind.resource, kind)
        if other is not kind and kind.switch is not None and other.switch is not None:
            raise ConfigError(
                f"sync: {other.switch.path} and {kind.switch.path} can't both be on, "
                f"{kind.resource.plural} go one way only; turn one of them off"
            )
    return tuple(kind for kind in on if kind.switch is not None or not _is_replaced(kind, on))


def _is_replaced(kind: Kind, on: Iterable[Kind]) -> bool:
    return any(other.resource == kind.resource and other.switch is not None for other in on)


def refuse_unfit(tenant: Tenant, kinds: Iterable[Kind]) -> None:
    """ConfigError for a tenant that can't be carried by the kinds that are on."""
    on = {kind.resource: kind for kind in kinds}
    nodes = on.get(NODES)
    if nodes is not None and nodes.watch_host == (tenant.fake_node is not None):
        raise ConfigError(
            "tenant.nodes: mode fake is for a syncer that doesn't read the host's nodes, others are for one that does; "
            f"turn sync.from_host.nodes {'off' if nodes.watch_host else 'on'}, or choose another mode"
        )
    if not tenant.each_namespace:
        return
    if not (NAMESPACES in on and on[NAMESPACES].watch_host):
        raise ConfigError(
            "tenant.namespaces: mode each needs namespaces to be carried; turn on sync.to_host.namespaces"
        )
    for kind in on.values():
        if kind.one_namespace:
            path = kind.switch.path if kind.switch is not None else kind.resource.plural
            raise ConfigError(f"tenant.namespaces: mode each and sync.{path} don't go together; turn one of them off")


def host_rules(kinds: Iterable[Kind], besides: Iterable[Rule] = ()) -> tuple[Rule, ...]:
    """Return the rights on the host that kinds need together, each group and resource once, in order of their names.

    `besides` are rights that are needed whatever is carried.

    Who makes namespaces needs his rights in all of them, so then all are of the cluster's scope.
    """
    rules = [*besides, *(rule for kind in kinds for rule in kind.host_rules)]
    is_everywhere = any("namespaces" in rule.resources and "create" in rule.verbs for rule in rules)
    verbs: dict[tuple[bool, str, str], set[str]] = {}
    for rule in rules:
        for resource in rule.resources:
            place = (is_everywhere or rule.cluster_scoped, rule.group, resource)
            verbs.setdefault(place, set()).update(rule.verbs)
    together: dict[tuple[bool, str, tuple[str, ...]], list[str]] = {}
    for (cluster_scoped, group, resource), found in sorted(verbs.items()):
        together.setdefault((cluster_scoped, group, tuple(sorted(found))), []).append(resource)
    return tuple(
        Rule(group, tuple(resources), found, cluster_scoped)
        for (cluster_scoped, group, found), resources in together.items()
    )


def as_rbac(rules: Iterable[Rule]) -> dict[str, list[dict[str, list[str]]]]:
    """Return rules as the `rules` of a Role and of a ClusterRole have them."""
    made: dict[str, list[dict[str, list[str]]]] = {"role": [], "clusterRole": []}
    for rule in rules:
        fields = {"apiGroups": [rule.group], "resources": list(rule.resources), "verbs": list(rule.verbs)}
        made["clusterRole" if rule.cluster_scoped else "role"].append(fields)
    return made
