"""What a lease is granted with: where its cluster is, and whose word counts there.

The one rule: whoever has a grant needs nothing else to be the cluster's administrator, or to make others so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_vcluster.controlplane import kubeconfig
from pytest_vcluster.controlplane.keys import KeyPair


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom a cluster believes, and by what it is known."""

    server_authority: str
    """The certificate that vouches for its API server."""
    admin: KeyPair
    """Of system:masters."""
    client_authority: KeyPair
    """What its users' certificates are signed with."""


def grant_facts(
    *,
    name: str,
    version: str,
    url: str,
    identity: Identity,
    revision: int,
    logs: Mapping[str, Mapping[str, object]],
    host: Mapping[str, str],
) -> dict[str, object]:
    """All that a lease is granted, but for what the run service adds."""
    return {
        "cluster": name,
        "version": version,
        "url": url,
        "kubeconfig": kubeconfig.render(
            name=name, server=url, certificate_authority=identity.server_authority, client=identity.admin
        ),
        "certificate_authority": identity.server_authority,
        "client_certificate": identity.admin.certificate,
        "client_key": identity.admin.key,
        "client_ca_certificate": identity.client_authority.certificate,
        "client_ca_key": identity.client_authority.key,
        "revision": revision,
        "logs": dict(logs),
        "host": dict(host),
    }
