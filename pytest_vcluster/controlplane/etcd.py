"""The data store of a run: one etcd for all control planes, told apart by key prefix.

The one rule: it is as private as the run's directory. Clients come in through a Unix socket there, so no other user of
the machine can reach it, and it needs no port.
"""

from __future__ import annotations

from pathlib import Path

from pytest_vcluster.controlplane.component import GO_ENVIRONMENT, Component, flags

# etcd insists on a host and port in what it advertises, though nobody ever asks a single member for it.
_NOBODY = "http://localhost:1"


def component(*, binary: Path, directory: Path) -> Component:
    """The etcd that stores below `directory` and listens on `socket(directory)`.

    Nothing of a test run is worth an fsync. A single member elects itself at some random time of up to the election
    timeout, of which at least five heartbeats are wanted: with 5/25 ms etcd answers within 60 ms. Shorter ones cost
    CPU for as long as it runs.
    """
    settings = {
        "name": "run",
        "data-dir": str(directory / "etcd"),
        "listen-client-urls": f"unix://{socket(directory)}",
        "advertise-client-urls": _NOBODY,
        "listen-peer-urls": f"unix://{directory / 'etcd-peer.sock'}",
        "initial-advertise-peer-urls": _NOBODY,
        "initial-cluster": f"run={_NOBODY}",
        "unsafe-no-fsync": "true",
        "heartbeat-interval": "5",
        "election-timeout": "25",
        "max-txn-ops": "20000",
        "max-request-bytes": str(64 << 20),
        "quota-backend-bytes": str(8 << 30),
        "snapshot-count": "100000",
        "log-level": "warn",
    }
    return Component(name="etcd", binary=binary, arguments=flags(settings), environment=GO_ENVIRONMENT)


def socket(directory: Path) -> Path:
    """The Unix socket of the etcd that `component` runs in `directory`."""
    return directory / "etcd.sock"
