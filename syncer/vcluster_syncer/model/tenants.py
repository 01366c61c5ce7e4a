"""A virtual cluster as the syncer sees it, and what it shows of its host and there.

The one rule: all that a configuration may say of a tenant is a field here, and nothing that is found out later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vcluster_syncer.model.resources import Key, Name, Object, Resource


@dataclass(frozen=True, slots=True)
class Part:
    """Host objects of which an import has to know, too: those that name the imported object in a label."""

    resource: Resource
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """Objects of one host namespace that are shown in a virtual one: a single object, or all under their own names."""

    resource: Resource
    from_namespace: str
    to_namespace: str
    from_name: str = "*"
    to_name: str = "*"
    """`*`: all; then both are."""
    parts: tuple[Part, ...] = ()

    @property
    def resources(self) -> tuple[Resource, ...]:
        """All that has to be followed on the host for it."""
        return (self.resource, *(part.resource for part in self.parts))

    def concerned_by(self, resource: Resource, host: Object) -> Key | None:
        """Return the virtual key to look at again when a host object has changed, None where that is nothing to it."""
        names = [host["metadata"]["name"]] if resource == self.resource else []
        labels = host["metadata"].get("labels") or {}
        names += [labels[part.label] for part in self.parts if part.resource == resource and part.label in labels]
        return next((self.shown_as(name) for name in names), None)

    def shown_as(self, name: str) -> Key | None:
        """Return where the host object of that name is shown, None where it is not."""
        if self.from_name == "*":
            return Key(self.to_namespace, name)
        return Key(self.to_namespace, self.to_name) if name == self.from_name else None

    def shows(self, key: Key) -> str | None:
        """Return the name of the host object that is shown at a virtual key, whether or not there is one."""
        if key.namespace != self.to_namespace or self.to_name not in {"*", key.name}:
            return None
        return key.name if self.to_name == "*" else self.from_name


@dataclass(frozen=True, slots=True)
class Export:
    """A virtual Service that the host has a second time, under a name that is not made up."""

    key: Key
    name: str
    """On the host, in the tenant's own host namespace."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The host Service with which all goes that a tenant has in its namespace."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeNode:
    """What is said of nodes that are made up."""

    kubelet_version: str = ""
    architecture: str = "amd64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A virtual cluster as the syncer sees it."""

    name: str
    """Unique on the host; the value of the tenant label on every host object of this virtual cluster."""
    host_namespace: str
    """The tenant's own host namespace: it carries all namespaced objects, unless each namespace has its own."""
    each_namespace: bool = False
    """Every virtual namespace has a host namespace of its own, made, labelled and ended by the syncer."""
    namespace_pattern: str = "{tenant}-{namespace}"
    """How their names begin; a hash makes them unique. See `naming.host_namespace_of`."""
    kubernetes_service_ip: str
    """Where pods reach the virtual API server: the cluster IP of `default/kubernetes`."""
    dns_service_ip: str | None = None
    """Cluster IP of the virtual DNS service; None when the virtual cluster has none."""
    cluster_domain: str = "cluster.local"
    private_nodes: bool = True
    """The tenant has host nodes of its own (renamed, labelled); otherwise it shares nodes, which keep their names."""
    fake_node: FakeNode | None = None
    """The host's nodes may not be read, those of the tenant are made up; None: they may be."""
    node_label: str = "vcluster-syncer/tenant"
    """Label of private host nodes; pods are held to nodes on which it has the value `node_label_value`."""
    node_label_value: str = ""
    """Empty means the tenant's name."""
    kubelet_address: str = ""
    """Where the virtual API server finds the gateway, which is the kubelet of all its nodes."""
    kubelet_port: int = 0
    """0: there is no gateway."""
    imports: tuple[Import, ...] = ()
    """What of the host is shown in the virtual cluster; of several that fit a key, the first counts."""
    exports: tuple[Export, ...] = ()
    """Which virtual Services others on the host find by name."""
    owner: Owner | None = None
    """None: host objects stay until we delete them, or somebody their namespace."""
    drains_in_background: bool = False
    """What a lease leaves on the host is not waited for: the next one has other names there. See `epochs`."""
    epoch: int = 0
    """Raised whenever the cluster was put back; objects that came since are named after it."""
    selects_by_epoch: bool = False
    """All pods of the present are of the present epoch, so selectors tell them by it from those left over."""
    kept: Mapping[Name, int] = field(default_factory=dict, hash=False)
    """Of which earlier epoch that is which was there when the cluster was put back, by kind, namespace and name."""

    def epoch_of(self, kind: str, namespace: str, name: str) -> int:
        """Return the epoch after which the host object of a virtual one is named."""
        return self.kept.get((kind, namespace, name), self.epoch)
