"""Keys and certificates as plain text, for those who hand them on.

The one rule: values only; making them is `pki`'s business, whose cryptography takes 50 ms to import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

CONTROLLER_MANAGER = "system:kube-controller-manager"
"""As whom the controller manager asks; the API server's audit policy goes by it. It is Kubernetes' own name for it, but
with all rights: it works in the place of its controllers' ServiceAccounts."""
METRICS_SERVER_NAME = "host-metrics.kube-system.svc"
"""What an API server calls the gateway that it passes requests for metrics.k8s.io on to: after the Service that leads
there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A certificate and its private key, both PEM text."""

    certificate: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A bare key pair (no certificate), PEM text; what ServiceAccount tokens are signed with."""

    private: str
    public: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyMaterial:
    """All that a control plane wants to read: pairs by the name of their files, and what it signs tokens with."""

    pairs: Mapping[str, KeyPair]
    signing: SigningKey
