"""Kubeconfigs as text: everything a client needs inline, so that one file (mode 0600) is the whole credential.

The one rule: rendering is pure; who writes the text to disk decides where, and makes it private.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_vcluster.controlplane.keys import KeyPair


def build(
    *, name: str, server: str, certificate_authority: str, client: KeyPair, user: str = "admin"
) -> dict[str, Any]:
    """Build the kubeconfig of one cluster and one user as a dict; `name` becomes cluster and context."""
    context = name if user == "admin" else f"{user}@{name}"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": name,
                "cluster": {"server": server, "certificate-authority-data": _base64(certificate_authority)},
            }
        ],
        "users": [
            {
                "name": f"{user}@{name}",
                "user": {
                    "client-certificate-data": _base64(client.certificate),
                    "client-key-data": _base64(client.key),
                },
            }
        ],
        "contexts": [{"name": context, "context": {"cluster": name, "user": f"{user}@{name}", "namespace": "default"}}],
        "current-context": context,
        "preferences": {},
    }


def render(*, name: str, server: str, certificate_authority: str, client: KeyPair, user: str = "admin") -> str:
    """Render the kubeconfig of `build` as text; JSON, which every YAML reader reads."""
    built = build(name=name, server=server, certificate_authority=certificate_authority, client=client, user=user)
    return json.dumps(built, indent=1) + "\n"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
