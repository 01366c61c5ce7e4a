"""What the pod of a virtual cluster is given to read: certificates, keys, kubeconfigs, and the state to begin with.

The one rule: pure. Names of files are those that the chart mounts (`charts/vcluster/README.md`).
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence

from pytest_vcluster.controlplane import kubeconfig
from pytest_vcluster.controlplane.keys import CONTROLLER_MANAGER, KeyMaterial, KeyPair
from pytest_vcluster.controlplane.pki import CertificateAuthority

IN_THE_POD = "https://127.0.0.1:6443"
_OURS_ALONE = ("admin.crt", "admin.key", "admin-api-client.crt", "admin-api-client.key")
_IN_KUBECONFIGS = ("controller-manager.crt", "controller-manager.key")
_SIGNING_IN_THE_POD = "client-ca.key"
"""The controller manager signs what users ask for by CertificateSigningRequests; no other authority is needed there."""
MOST_SEED_BYTES = 900 << 10
"""Of a Secret, which may have 1 MiB."""


def admin_api(name: str, hosts: Sequence[str]) -> Mapping[str, KeyPair]:
    """Make what the syncer's admin API and its only client show each other; blocks for some milliseconds."""
    authority = CertificateAuthority.new(f"{name}-admin-api")
    return {
        "admin-api-ca": KeyPair(certificate=authority.certificate, key=""),
        "admin-api": authority.server("admin-api", hosts=hosts),
        "admin-api-client": authority.client("pytest-vcluster"),
    }


def key_files(name: str, material: KeyMaterial, admin: Mapping[str, KeyPair]) -> dict[str, str]:
    """All files by name: those for the pod and, in addition, those that only this side has."""
    clients = CertificateAuthority.from_pem(material.pairs["client-ca"].certificate, material.pairs["client-ca"].key)
    servers = material.pairs["server-ca"].certificate
    files: dict[str, str] = {}
    for called, pair in {**material.pairs, **admin}.items():
        files[f"{called}.crt"] = pair.certificate
        files[f"{called}.key"] = pair.key
    files["service-accounts.key"] = material.signing.private
    files["service-accounts.pub"] = material.signing.public
    for file, client, user in (
        ("kubeconfig", material.pairs["admin"], "admin"),
        ("controller-manager.kubeconfig", material.pairs["controller-manager"], CONTROLLER_MANAGER),
        ("coredns.kubeconfig", clients.client("system:coredns"), "system:coredns"),
    ):
        files[file] = kubeconfig.render(
            name=name, server=IN_THE_POD, certificate_authority=servers, client=client, user=user
        )
    return {file: text for file, text in files.items() if text}


def for_the_pod(files: Mapping[str, str]) -> dict[str, str]:
    """Those of `files` that the pod reads."""
    return {
        file: text
        for file, text in files.items()
        if file not in _OURS_ALONE + _IN_KUBECONFIGS and (not file.endswith("-ca.key") or file == _SIGNING_IN_THE_POD)
    }


def seed(entries: Mapping[bytes, bytes]) -> bytes:
    """The state to begin with, by keys below the prefix, as a file."""
    encoded = {key.decode(): base64.b64encode(value).decode() for key, value in entries.items()}
    return gzip.compress(json.dumps({"entries": encoded}).encode(), compresslevel=6, mtime=0)


def fits(entries: Mapping[bytes, bytes]) -> bool:
    """Whether a state like this one goes into a Secret."""
    return len(seed(entries)) <= MOST_SEED_BYTES
