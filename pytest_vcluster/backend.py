"""The one place where the plugin meets the run service and the handle.

Everything heavy (sockets, the Kubernetes client, YAML) is imported here, inside functions, when a test asks for its
first cluster: a run that asks for none never pays for it. The one rule: the plugin's other modules talk to a `Backend`
out of `config.stash` and to nothing beyond it, so a test of the plugin puts another one there.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pytest_vcluster.cluster import VCluster
    from pytest_vcluster.service.client import Kept, Lease, LeaseRequest, Run
    from pytest_vcluster.settings import NodeShape, Settings

SHUT_DOWN_SECONDS = {"kind": 60.0}
"""By kind of host: Docker takes its time to remove containers."""
QUICK_SHUT_DOWN_SECONDS = 10.0
EVIDENCE_SECONDS = 10.0


class Backend(Protocol):
    """What the plugin needs from the world below it."""

    @property
    def run_id(self) -> str:
        """The run's name, as `pytest-vcluster list` shows it."""

    def to_json(self) -> Mapping[str, Any]:
        """What an xdist worker needs to find the same run; plain data."""

    def open_lease(
        self,
        *,
        version: str,
        isolation: str,
        nodes: tuple[NodeShape, ...],
        holder: str,
        expected: Mapping[str, int],
        on_host: bool,
        baseline: str,
        baseline_about: str,
        on_progress: Callable[[str], None],
    ) -> Lease:
        """A lease on a cluster nobody else has; starts the run service when it is the first."""

    def handle(self, lease: Lease) -> VCluster:
        """The handle that a test gets for its lease."""

    def collect(self, cluster: VCluster, directory: Path) -> None:
        """Write evidence of what happened in `cluster` into `directory`."""

    def host(self, *, on_progress: Callable[[str], None]) -> Mapping[str, Any]:
        """Facts about the host cluster, which is started if need be."""

    def summary(self) -> Mapping[str, Any] | None:
        """What the run service has done so far; None when there is none."""

    def kept(self) -> Sequence[Kept]:
        """Clusters that are kept; one that died, or for which there was no memory, is not among them."""

    def detach(self) -> None:
        """Let the kept clusters, and what they need, outlive this process."""

    def shut_down(self) -> Mapping[str, Any] | None:
        """End the run service and wait until nothing of it is left; its last summary."""


class RunServiceBackend:
    """The real one: a run service found or started through `service.client`."""

    def __init__(self, run: Run, settings: Settings) -> None:
        self._run = run
        self._settings = settings
        self._begun = False

    @classmethod
    def of_controller(cls, settings: Settings) -> RunServiceBackend:
        """The backend of the process that the user started; its death ends the run."""
        from pytest_vcluster.service.runs import Run  # noqa: PLC0415 - start-up time

        return cls(Run.of_controller(), settings)

    @classmethod
    def of_worker(cls, document: Mapping[str, Any], settings: Settings) -> RunServiceBackend:
        """The backend of an xdist worker, which shares its controller's run."""
        from pytest_vcluster.service.runs import Run  # noqa: PLC0415 - start-up time

        return cls(Run.from_json(document), settings)

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self._run.id

    def to_json(self) -> Mapping[str, Any]:
        """The run, as plain data."""
        return self._run.to_json()

    def open_lease(
        self,
        *,
        version: str,
        isolation: str,
        nodes: tuple[NodeShape, ...],
        holder: str,
        expected: Mapping[str, int],
        on_host: bool,
        baseline: str,
        baseline_about: str,
        on_progress: Callable[[str], None],
    ) -> Lease:
        """A lease from the run service."""
        self._begin()
        from pytest_vcluster.service import client  # noqa: PLC0415 - start-up time

        request: LeaseRequest = client.LeaseRequest(
            version=version,
            isolation=isolation,
            nodes=nodes,
            holder=holder,
            expected=expected,
            on_host=on_host,
            baseline=baseline,
            baseline_about=baseline_about,
        )
        return client.open_lease(
            self._run,
            self._settings,
            request,
            timeout=self._settings.timeout,
            on_progress=on_progress,
        )

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            from pytest_vcluster.service import election  # noqa: PLC0415 - start-up time

            # It has to import as much as this process has: both at the same time.
            election.begin(self._run, self._settings)
            importlib.import_module("pytest_vcluster.cluster")

    def handle(self, lease: Lease) -> VCluster:
        """A handle whose files live in the run's folder, and go with it whatever happens to this process."""
        from pytest_vcluster.cluster import VCluster  # noqa: PLC0415 - start-up time

        directory = tempfile.mkdtemp(prefix=f"{lease.grant.cluster}-", dir=lease.directory)
        return VCluster(lease, self._settings, Path(directory))

    def collect(self, cluster: VCluster, directory: Path) -> None:
        """Evidence as far as it can be had in `EVIDENCE_SECONDS`."""
        from pytest_vcluster.cluster import evidence  # noqa: PLC0415 - start-up time

        evidence.collect(cluster, directory, timeout=EVIDENCE_SECONDS)

    def host(self, *, on_progress: Callable[[str], None]) -> Mapping[str, Any]:
        """Facts about the host cluster."""
        from pytest_vcluster.service import client  # noqa: PLC0415 - start-up time

        return client.host_info(self._run, self._settings, timeout=self._settings.timeout, on_progress=on_progress)

    def summary(self) -> Mapping[str, Any] | None:
        """What the run service has done so far."""
        from pytest_vcluster.service import client  # noqa: PLC0415 - start-up time

        return client.summary(self._run) if client.running(self._run) else None

    def kept(self) -> Sequence[Kept]:
        """Clusters that the run service keeps."""
        from pytest_vcluster.service import client  # noqa: PLC0415 - start-up time

        return [kept for run in client.list_runs() if run.id == self._run.id for kept in run.kept]

    def detach(self) -> None:
        """Tell the run service to live on with what is kept."""
        from pytest_vcluster.service import client  # noqa: PLC0415 - start-up time

        client.keep(self._run)

    def shut_down(self) -> Mapping[str, Any] | None:
        """End the run service, if any was ever started."""
        from pytest_vcluster.service import client  # noqa: PLC0415 - start-up time

        return client.shut_down(self._run, timeout=SHUT_DOWN_SECONDS.get(self._settings.host, QUICK_SHUT_DOWN_SECONDS))
