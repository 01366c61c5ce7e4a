"""What is carried between a virtual cluster and its host, kind by kind, as pure functions.

Nothing here does I/O or reads a clock. The one rule: a kind is a module with a `KIND`, kinds know each other only
through the world they are shown, and `KINDS` is the whole list: there is no registration.
"""

from __future__ import annotations

from typing import Final

from vcluster_syncer.model import Kind
from vcluster_syncer.translate import (
    configmaps,
    csidrivers,
    csinodes,
    csistoragecapacities,
    deviceclasses,
    endpointslices,
    events,
    fake_nodes,
    gatewayclasses,
    gateways,
    grpcroutes,
    httproutes,
    ingressclasses,
    ingresses,
    namespaces,
    networkpolicies,
    nodes,
    persistentvolumeclaims,
    persistentvolumes,
    poddisruptionbudgets,
    pods,
    priorityclasses,
    referencegrants,
    resourceclaims,
    runtimeclasses,
    secrets,
    serviceaccounts,
    services,
    storageclasses,
    volumeattributesclasses,
)

# In this order the engine may start them: what others look at comes first.
KINDS: Final[tuple[Kind, ...]] = (
    namespaces.KIND,
    namespaces.TO_HOST,
    fake_nodes.KIND,
    nodes.KIND,
    priorityclasses.TO_HOST,
    priorityclasses.FROM_HOST,
    runtimeclasses.KIND,
    ingressclasses.KIND,
    storageclasses.KIND,
    volumeattributesclasses.KIND,
    csidrivers.KIND,
    csinodes.KIND,
    csistoragecapacities.KIND,
    deviceclasses.KIND,
    serviceaccounts.KIND,
    services.KIND,
    configmaps.KIND,
    secrets.KIND,
    persistentvolumes.MADE_UP,
    persistentvolumes.FROM_HOST,
    persistentvolumes.TO_HOST,
    persistentvolumeclaims.KIND,
    resourceclaims.KIND,
    endpointslices.KIND,
    networkpolicies.KIND,
    poddisruptionbudgets.KIND,
    ingresses.KIND,
    gatewayclasses.KIND,
    referencegrants.KIND,
    gateways.KIND,
    httproutes.KIND,
    grpcroutes.KIND,
    pods.KIND,
    events.KIND,
)
