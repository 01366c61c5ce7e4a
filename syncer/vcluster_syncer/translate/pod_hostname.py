"""What a pod on the host calls itself.

The host's kubelet writes the pod's name and the *host's* domain into /etc/hosts, so a subdomain given to it would
make the pod believe in a name nobody can look up. The one rule: a short name stays short and is all the kubelet is
told; only who asks for the full name (`setHostnameAsFQDN`) gets it, spelled out in the virtual cluster's domain.
Peers are found through the virtual cluster's DNS, which goes by the virtual pods.
"""

from __future__ import annotations

from typing import Any, Final

from vcluster_syncer.model import Object, Tenant

FIELDS: Final = frozenset({"hostname", "hostnameOverride", "setHostnameAsFQDN", "subdomain"})
_LONGEST_LABEL: Final = 63
# Of a hostname in Linux; the API holds `hostnameOverride` to it.
_LONGEST: Final = 64


def _short(pod: Object) -> str:
    given, name = pod["spec"].get("hostname"), pod["metadata"]["name"]
    return str(given or name.replace(".", "-")[:_LONGEST_LABEL].rstrip("-"))


def to_host(pod: Object, tenant: Tenant) -> dict[str, Any]:
    """Return `FIELDS` of the host pod's spec."""
    spec = pod["spec"]
    if spec.get("hostNetwork"):
        return {"hostname": spec["hostname"]} if spec.get("hostname") else {}
    short = _short(pod)
    if spec.get("hostnameOverride"):
        return {"hostname": short, "hostnameOverride": spec["hostnameOverride"]}
    if spec.get("setHostnameAsFQDN") and spec.get("subdomain"):
        full = f"{short}.{spec['subdomain']}.{pod['metadata']['namespace']}.svc.{tenant.cluster_domain}"
        if len(full) <= _LONGEST:
            return {"hostname": short, "hostnameOverride": full}
    return {"hostname": short}
