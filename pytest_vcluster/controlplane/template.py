"""The stored state of a freshly started, fully settled control plane, as a value that can be cloned.

The one rule: a clone is a cluster of its own. Every UID in it is new, its Service IPs are its own, and the root
certificate it publishes is its own; all else is byte for byte what an upstream API server and controller manager wrote.

Starting on a clone takes half the time of starting on nothing, because the server finds what it would otherwise make
(about 200 objects), and is ready without the two start-up hooks that sleep for a second first.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pytest_vcluster.controlplane.networks import ORIGIN, ServiceRange, mover

# Never part of a template: what names one server or one moment. The API server writes these again when it starts.
VOLATILE = (
    b"events/",
    b"leases/kube-node-lease/",
    b"leases/kube-system/",
    b"masterleases/",
    b"peerserverleases/",
    b"configmaps/kube-system/extension-apiserver-authentication",
)
# What the host leaves out in addition: it has another Service range than the virtual clusters.
SERVICE_STATE = (b"services/", b"ipaddresses/", b"servicecidrs/", b"ranges/serviceips", b"endpointslices/")

ROOT_CA_CONFIGMAP = re.compile(rb"configmaps/([^/]+)/kube-root-ca\.crt")
# Kubernetes 1.37 publishes it in a ClusterTrustBundle too, whose name ends with a digest of it.
# https://github.com/kubernetes/kubernetes/tree/master/pkg/controller/certificates/clustertrustbundlepublisher
ROOT_CA_BUNDLE = re.compile(rb"clustertrustbundles/(kubernetes\.io:kube-apiserver-serving:)([0-9a-f]+)")
_UID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_FORMAT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Keys (below the etcd prefix) and values. `root_ca` holds the objects that publish the root certificate.

    Those are kept as API objects and written to etcd as JSON, which every API server reads as well as its own protobuf:
    so the certificate in them can be exchanged without knowing the binary encoding.
    """

    version: str
    entries: Mapping[bytes, bytes]
    root_ca: Mapping[bytes, Mapping[str, object]]
    uids: frozenset[str] | None = None
    """What to renew in a clone; None: whatever looks like a UID, for there is nothing of a user's in it."""

    def clone(
        self,
        *,
        service_range: ServiceRange,
        certificate_authority: str,
        new_uid: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> dict[bytes, bytes]:
        """Make the entries of a new cluster that uses `service_range` and publishes `certificate_authority` (PEM)."""
        move = mover(ORIGIN, service_range)
        uids: dict[bytes, bytes] = {}

        def renewed(match: re.Match[bytes]) -> bytes:
            old = match.group()
            if self.uids is not None and old.decode() not in self.uids:
                return old
            if old not in uids:
                uids[old] = new_uid().encode()
            return uids[old]

        raw = dict(self.entries)
        for key, publisher in self.root_ca.items():
            place, published = _publishing(key, publisher, certificate_authority)
            raw[place] = json.dumps(published, separators=(",", ":")).encode()
        return {move(key): _UID.sub(renewed, move(value)) for key, value in raw.items()}

    def dump(self) -> bytes:
        """Serialize for the cache."""
        document = {
            "format": _FORMAT,
            "version": self.version,
            "entries": {key.decode(): base64.b64encode(value).decode() for key, value in self.entries.items()},
            "root_ca": {key.decode(): value for key, value in self.root_ca.items()},
            "uids": None if self.uids is None else sorted(self.uids),
        }
        return json.dumps(document, separators=(",", ":")).encode()

    @classmethod
    def load(cls, raw: bytes) -> Template:
        """Read what `dump` wrote; ValueError for anything else."""
        try:
            document = json.loads(raw)
            if document["format"] != _FORMAT:
                raise ValueError(f"template format {document['format']}, expected {_FORMAT}")
            return cls(
                version=document["version"],
                entries={key.encode(): base64.b64decode(value) for key, value in document["entries"].items()},
                root_ca={key.encode(): value for key, value in document["root_ca"].items()},
                uids=None if document["uids"] is None else frozenset(document["uids"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a template: {error!r}") from error


def from_state(version: str, state: Mapping[bytes, bytes], root_ca: Mapping[bytes, Mapping[str, object]]) -> Template:
    """Make a template of a settled `state`, and of what publishes its root CA, as the API gave it."""
    entries = {
        key: value for key, value in state.items() if not key.startswith(VOLATILE) and not publishes_root_ca(key)
    }
    return Template(version=version, entries=entries, root_ca={key: _storable(value) for key, value in root_ca.items()})


def publishes_root_ca(key: bytes) -> bool:
    """Whether the object stored at `key` publishes the certificate of the authority that signs the server's."""
    return bool(ROOT_CA_CONFIGMAP.fullmatch(key) or ROOT_CA_BUNDLE.fullmatch(key))


def _publishing(
    key: bytes, publisher: Mapping[str, object], certificate_authority: str
) -> tuple[bytes, Mapping[str, object]]:
    """What publishes another certificate in the same way, and its key."""
    bundle = ROOT_CA_BUNDLE.fullmatch(key)
    if bundle is None:
        return key, {**publisher, "data": {"ca.crt": certificate_authority}}
    metadata, spec = publisher["metadata"], publisher["spec"]
    assert isinstance(metadata, dict)
    assert isinstance(spec, dict)
    digest = hashlib.sha256(certificate_authority.encode()).hexdigest()[: len(bundle[2])]
    name = f"{bundle[1].decode()}{digest}"
    return f"clustertrustbundles/{name}".encode(), {
        **publisher,
        "metadata": {**metadata, "name": name},
        "spec": {**spec, "trustBundle": certificate_authority},
    }


def _storable(publisher: Mapping[str, object]) -> dict[str, object]:
    metadata = publisher["metadata"]
    assert isinstance(metadata, dict)
    kept = {key: value for key, value in metadata.items() if key != "resourceVersion"}
    return {"apiVersion": "v1", "kind": "ConfigMap", **publisher, "metadata": kept}
