"""Which rights on the host a pod needs besides those of the kinds that it carries.

The one rule: what is here is what the modules of this package do, and what the pod's tenant asks for besides: bounds,
figures.
"""

from __future__ import annotations

from vcluster_syncer import isolation
from vcluster_syncer.config import Config, parse_description
from vcluster_syncer.model import SERVICES, Rule
from vcluster_syncer.pod import heartbeat
from vcluster_syncer.pod_options import described
from vcluster_syncer.translate import figures


def rules(config: Config) -> tuple[Rule, ...]:
    """Return the rights of a configuration's owner, heartbeat and tenant; none where it has none of them."""
    found: list[Rule] = []
    if config.owner:
        found.append(Rule(SERVICES.group, (SERVICES.plural,), ("get",)))
    if config.heartbeat is not None:
        found += heartbeat.RULES
    if config.pod is not None:
        tenant = parse_description(described(config.pod, namespace="default"), source="pod.tenant")
        found += isolation.host_rules(tenant.terms)
        if tenant.metrics is not None:
            found += figures.host_rules(tenant.metrics.told)
    return tuple(found)
