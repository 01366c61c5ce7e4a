"""What the handle needs to know of a lease, as protocols.

The one rule: the handle is given its lease and never asks where it came from; the run service is one that fits, a test
with its own control plane is another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class LogRef(Protocol):
    """A component's log, and where in it the lease begins."""

    @property
    def path(self) -> str:
        """The log file."""

    @property
    def offset(self) -> int:
        """Bytes of it that were there before the lease."""


class Death(Protocol):
    """A process that ended though the lease depended on it."""

    @property
    def component(self) -> str:
        """The process's name."""

    @property
    def status(self) -> str:
        """How it ended, in words."""

    @property
    def log(self) -> str:
        """Its log file; empty if it has none."""

    @property
    def tail(self) -> str:
        """The last lines of the log."""


class Grant(Protocol):
    """The facts of a lease."""

    @property
    def cluster(self) -> str:
        """The cluster's name."""

    @property
    def version(self) -> str:
        """Its Kubernetes version, such as v1.36.4."""

    @property
    def url(self) -> str:
        """Where its API server is reached for as long as the lease lasts."""

    @property
    def kubeconfig(self) -> str:
        """An administrator's kubeconfig, YAML or JSON text."""

    @property
    def certificate_authority(self) -> str:
        """What the API server's certificate is checked against, PEM."""

    @property
    def client_certificate(self) -> str:
        """The administrator's certificate, PEM."""

    @property
    def client_key(self) -> str:
        """The administrator's key, PEM."""

    @property
    def client_ca_certificate(self) -> str:
        """The authority that signs users, PEM."""

    @property
    def client_ca_key(self) -> str:
        """Its key, PEM."""

    @property
    def revision(self) -> int:
        """Resource version at the start: what the test changed is above it."""

    @property
    def logs(self) -> Mapping[str, LogRef]:
        """Component -> its log."""

    @property
    def host(self) -> Mapping[str, str]:
        """The host cluster: kind, version, namespace, kubeconfig (empty while the host is still starting)."""


class Lease(Protocol):
    """A cluster that is the holder's alone."""

    @property
    def grant(self) -> Grant:
        """The facts."""

    def deaths(self) -> Sequence[Death]:
        """Which components have ended since the lease began; does not block."""

    def checkpoint(self) -> str:
        """Have the cluster's state remembered; returns its name."""

    def restore(self, checkpoint: str) -> str:
        """Have the cluster go back to a remembered state; returns what somebody kept writing meanwhile, in words."""

    def load_image(self, reference: str, *, timeout: float) -> None:
        """Have an image brought to all nodes of the host."""
