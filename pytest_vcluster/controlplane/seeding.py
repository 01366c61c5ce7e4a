"""What a control plane starts on, from before its first look at the shared etcd until it is thrown away.

The one rule: it touches what lies below the control plane's own prefix only. Everything here blocks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from pytest_vcluster.controlplane.datastore import Datastore
from pytest_vcluster.controlplane.plane import PlaneSettings
from pytest_vcluster.errors import ProvisionError


def seed(settings: PlaneSettings, entries: Mapping[bytes, bytes]) -> bool:
    """Put `entries` where nothing is yet; tells whether that was so."""
    with contextlib.closing(Datastore(settings.etcd_socket)) as datastore:
        return datastore.seed(settings.etcd_prefix, entries)


def seed_anew(settings: PlaneSettings, entries: Mapping[bytes, bytes]) -> None:
    """Put `entries` in the place of what is there; ProvisionError if somebody goes on writing."""
    with contextlib.closing(Datastore(settings.etcd_socket)) as datastore:
        datastore.delete(settings.etcd_prefix)
    if not seed(settings, entries):
        raise ProvisionError(f"Somebody else writes to {settings.etcd_prefix} of {settings.etcd_socket}.")


def discard(settings: PlaneSettings) -> None:
    """Delete all there is, if etcd is there at all: it may be what died."""
    with contextlib.suppress(OSError):
        datastore = Datastore(settings.etcd_socket, timeout=5.0)
        datastore.delete(settings.etcd_prefix)
        datastore.close()
