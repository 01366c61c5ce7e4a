"""One virtual cluster of the embedded host, as the run service hands it out.

The one rule: it exists only while its control plane answers; what it says of itself is enough to make a lease.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_vcluster.controlplane.component import RunningComponent
from pytest_vcluster.controlplane.datastore import Datastore
from pytest_vcluster.controlplane.http import Client
from pytest_vcluster.controlplane.plane import ControlPlane
from pytest_vcluster.errors import NotAvailableOnHost
from pytest_vcluster.hosts import syncer
from pytest_vcluster.hosts.granting import Identity
from pytest_vcluster.hosts.recyclable import KeepBaseline, Recyclable
from pytest_vcluster.settings import NodeShape

MOST_BYTES = 600 << 20
"""An API server that has grown beyond this (about 220 MB after its start) is replaced."""


class VirtualCluster(Recyclable):
    """A virtual cluster whose control plane are processes of this machine."""

    def __init__(
        self,
        plane: ControlPlane,
        *,
        nodes: Sequence[NodeShape],
        host: Mapping[str, str],
        directory: Path,
        watch: Callable[[RunningComponent], None],
        keep_baseline: KeepBaseline | None = None,
        laid: bool = False,
        compare: bool = False,
    ) -> None:
        super().__init__(
            name=plane.settings.name,
            version=plane.settings.version,
            nodes=nodes,
            identity=Identity(
                server_authority=plane.server_authority,
                admin=plane.admin,
                client_authority=plane.client_authority,
            ),
            host=host,
            connect=syncer.connector(directory),
            timeout=plane.settings.timeout,
            keep_baseline=keep_baseline,
            laid=laid,
            compare=compare,
        )
        self.plane = plane
        self._watch = watch

    @property
    def backend(self) -> tuple[str, int]:
        """Where the API server listens: what a lease's gate leads to."""
        return self.plane.address.ip, self.plane.address.port

    @property
    def entrance(self) -> str:
        """The local address of its gates."""
        return self.plane.address.ip

    def api(self) -> Client:
        """Open a connection to the API server, as system:masters."""
        return self.plane.api()

    def read(self) -> dict[bytes, bytes]:
        """Read all that is stored, by keys below the cluster's prefix."""
        with contextlib.closing(Datastore(self.plane.settings.etcd_socket)) as datastore:
            return datastore.read(self.plane.settings.etcd_prefix)

    def read_raw(self) -> dict[str, Any]:
        """Read all that is stored, as etcd's gateway gives it."""
        with contextlib.closing(Datastore(self.plane.settings.etcd_socket)) as datastore:
            return datastore.read_raw(self.plane.settings.etcd_prefix)

    def changed_since(self, revision: int) -> tuple[int, list[bytes], int]:
        """The present revision, the keys written after `revision`, and the number of all keys."""
        with contextlib.closing(Datastore(self.plane.settings.etcd_socket)) as datastore:
            return datastore.changed_since(self.plane.settings.etcd_prefix, revision)

    async def load_image(self, reference: str) -> None:
        """Refuse: simulated nodes run no containers."""
        raise NotAvailableOnHost.of(f"load_image({reference!r})", host="embedded", hosts=("kind",))

    async def _forget_what_ended(self) -> None:
        # Controller manager and syncer keep track of objects by uid, and saw the end of some that are there again.
        fresh = await self._replace_controller_manager()
        await self._order(functools.partial(syncer.restart, freeze=[fresh.pid]))

    async def _renewed(self, outcome: dict[str, Any]) -> dict[str, Any]:
        fresh = await self._replace_controller_manager()
        return await self._order(functools.partial(syncer.replaced, freeze=[fresh.pid]))

    async def _replace_controller_manager(self) -> RunningComponent:
        fresh = await self.plane.restart_controller_manager()
        self._watch(fresh)
        return fresh

    def _worn(self) -> str:
        grown = resident_bytes(self.plane.components[0].pid)
        return f"its API server has grown to {grown >> 20} MB" if grown > MOST_BYTES else ""

    def _logs(self) -> Mapping[str, Mapping[str, object]]:
        return {
            component.name.rpartition("/")[2]: {"path": str(component.log), "offset": component.log.stat().st_size}
            for component in self.plane.components
        }


def resident_bytes(pid: int) -> int:
    """Resident memory of a process; 0 where the system does not tell (outside Linux) or it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
