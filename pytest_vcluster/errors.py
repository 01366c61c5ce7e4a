"""Every error a user of this plugin can meet.

The one rule: an error teaches. It says what failed, what was last seen, what was checked, and what to do, naming the
option. Wording that is used twice lives in a named constructor next to its class. This module imports nothing of ours.
"""

from __future__ import annotations

from pathlib import Path


class VClusterError(Exception):
    """Base of all errors raised by pytest-vcluster."""


class SettingsError(VClusterError):
    """An option, ini value, environment variable or marker argument is wrong; nothing has been started."""


class ToolchainError(VClusterError):
    """A Kubernetes binary can't be had, or can't be run on this machine."""


class HostError(VClusterError):
    """The host cluster can't be started or reached."""


class ProvisionError(VClusterError):
    """A virtual cluster could not be made."""


class Timeout(VClusterError):
    """Something did not happen before its deadline."""

    def __init__(
        self,
        step: str,
        *,
        elapsed: float,
        last_seen: str,
        remedy: str = "Raise --vcluster-timeout, or the call's own timeout=, if the machine is merely busy.",
        evidence: Path | None = None,
    ) -> None:
        self.step = step
        self.elapsed = elapsed
        self.last_seen = last_seen
        self.evidence = evidence
        where = f"\nEvidence: {evidence}" if evidence else ""
        super().__init__(f"{step}: not within {elapsed:.1f} s.\nLast seen: {last_seen}\n{remedy}{where}")


class ComponentDied(VClusterError):
    """A process that a leased cluster depends on ended while the lease was held."""

    def __init__(self, component: str, *, status: str, log: Path | None = None, tail: str = "") -> None:
        self.component = component
        self.status = status
        self.log = log
        self.tail = tail
        where = f" of {log}" if log else ""
        shown = f"\nLast lines{where}:\n{tail or '(nothing was logged)'}" if log or tail else ""
        super().__init__(f"{component} of this test's cluster died ({status}).{shown}")


class LeaseLost(VClusterError):
    """The run service ended, or ended this lease, while a test still held its cluster."""


class ManifestError(VClusterError):
    """A manifest can't be read, is no Kubernetes object, or was refused by the API server."""


class ApiError(VClusterError):
    """The virtual API server answered a request with an error status.

    `status` is the HTTP status code, `reason` Kubernetes' own reason (`NotFound`, `Invalid`, ...).
    """

    def __init__(self, message: str, *, status: int, reason: str = "", method: str = "", path: str = "") -> None:
        self.status = status
        self.reason = reason
        self.method = method
        self.path = path
        super().__init__(f"{method} {path}: {status} {reason}: {message}".strip())


class KubectlError(VClusterError):
    """kubectl ended with an error; `returncode`, `stdout` and `stderr` are what it left."""

    def __init__(self, args: tuple[str, ...], *, returncode: int, stdout: str, stderr: str) -> None:
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr
        super().__init__(f"kubectl {' '.join(args)} ended with {returncode}:\n{stderr.strip() or stdout.strip()}")


class CommandError(VClusterError):
    """A command in a container ended with an error; `returncode`, `stdout` and `stderr` are what it left."""

    def __init__(self, args: tuple[str, ...], *, returncode: int, stdout: str, stderr: str) -> None:
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr
        super().__init__(f"{' '.join(args)} ended with {returncode}:\n{stderr.strip() or stdout.strip()}")


class NotAvailableOnHost(VClusterError):
    """A feature that this kind of host does not have."""

    @classmethod
    def for_commands(cls) -> NotAvailableOnHost:
        """Say why commands can't be run in simulated pods, though others can."""
        return cls(
            "exec() is not available here: pods of simulated nodes run their commands on this machine, which needs a "
            "system that can keep them from changing it (Linux 6.12 or newer, with Landlock and seccomp).\n"
            "For real containers use --vcluster-host kind."
        )

    @classmethod
    def of(cls, feature: str, *, host: str, hosts: tuple[str, ...]) -> NotAvailableOnHost:
        """Say which `hosts` have `feature`, given that this run's is `host`."""
        where = " or ".join(f"--vcluster-host {name}" for name in hosts)
        return cls(f"{feature} is not available on the {host!r} host: it needs {where}.")
