"""What a virtual API server says of itself, for nodes that are made up.

The one rule: it is asked once, when its tenant is read, and until it answers.
"""

from __future__ import annotations

import asyncio
import logging
import random

from vcluster_syncer.engine.timing import Timing
from vcluster_syncer.kube import requests
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.errors import KubeError
from vcluster_syncer.model import FakeNode

_log = logging.getLogger(__name__)


async def fake_node(client: Client, *, timing: Timing, jitter: random.Random) -> FakeNode:
    """Return nodes of the server's own version, and of the machine's architecture that it is on: the host's."""
    failures = 0
    while True:
        try:
            told = await client.send(requests.version())
        except KubeError as error:
            failures += 1
            _log.info("%s", error)
            await asyncio.sleep(max(timing.reconnect.after(failures, jitter=jitter), error.retry_after or 0.0))
        else:
            architecture = str(told.get("platform", "")).partition("/")[2]
            return FakeNode(kubelet_version=str(told.get("gitVersion", "")), architecture=architecture)
