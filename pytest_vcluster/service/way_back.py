"""A cluster's way from one lease to the next, and what stands in it.

The one rule: whoever can't say that a cluster is as new says why, and never raises: such a cluster is thrown away.
"""

from __future__ import annotations

import logging

from pytest_vcluster.service.backplane import VirtualCluster

_log = logging.getLogger(__name__)
ALWAYS_FRESH = "every test is to have a fresh one"


async def way_back(cluster: VirtualCluster, *, recycling: bool, laid: bool) -> str:
    """Recycle a cluster whose gate is shut; returns why it must not be used again, empty if it may.

    `laid` is whether it has the baseline that it is to go back to.
    """
    if not recycling:
        return ALWAYS_FRESH
    if not laid:
        return "its baseline was never laid"
    if cluster.died.is_set():
        return "one of its processes died"
    try:
        return await cluster.recycle()
    except Exception as error:
        _log.exception("%s could not be recycled", cluster.name)
        return f"{type(error).__name__}: {error}"
