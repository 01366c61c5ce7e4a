"""The words the pure half of the syncer and its engine share.

A kind decides, the engine does. A kind's `reconcile` is a pure function of one key's virtual object, its host
object and a read-only `World`; it answers with actions, which are plain data. It is level-based: it is told which
key to look at, never what happened to it. The one rule of this module: everything in it is an immutable value or a
Protocol, and nothing here does I/O, reads a clock or knows a kind.

Objects are the API server's JSON as mappings. Nobody changes an object that was handed in: whoever needs a
different one builds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

Object: TypeAlias = Mapping[str, Any]
"""A Kubernetes object as JSON: read only."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object as the API server names it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """What an object of this resource says in its `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Return the URL path of a collection (no name), an object or a subresource; no namespace means all of them."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/" + "/".join(parts)


PODS = Resource("", "v1", "pods", "Pod")
SERVICES = Resource("", "v1", "services", "Service")
CONFIGMAPS = Resource("", "v1", "configmaps", "ConfigMap")
SECRETS = Resource("", "v1", "secrets", "Secret")
EVENTS = Resource("", "v1", "events", "Event")
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
ENDPOINTS = Resource("", "v1", "endpoints", "Endpoints")
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
INGRESSES = Resource("networking.k8s.io", "v1", "ingresses", "Ingress")
INGRESS_CLASSES = Resource("networking.k8s.io", "v1", "ingressclasses", "IngressClass", namespaced=False)
NETWORK_POLICIES = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
POD_DISRUPTION_BUDGETS = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
PRIORITY_CLASSES = Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False)
GATEWAY_CLASSES = Resource("gateway.networking.k8s.io", "v1", "gatewayclasses", "GatewayClass", namespaced=False)
GATEWAYS = Resource("gateway.networking.k8s.io", "v1", "gateways", "Gateway")
HTTP_ROUTES = Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
GRPC_ROUTES = Resource("gateway.networking.k8s.io", "v1", "grpcroutes", "GRPCRoute")
REFERENCE_GRANTS = Resource("gateway.networking.k8s.io", "v1beta1", "referencegrants", "ReferenceGrant")
RUNTIME_CLASSES = Resource("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", namespaced=False)
RESOURCE_CLAIMS = Resource("resource.k8s.io", "v1", "resourceclaims", "ResourceClaim")
DEVICE_CLASSES = Resource("resource.k8s.io", "v1", "deviceclasses", "DeviceClass", namespaced=False)
PERSISTENT_VOLUME_CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
PERSISTENT_VOLUMES = Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
STORAGE_CLASSES = Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False)
VOLUME_ATTRIBUTES_CLASSES = Resource(
    "storage.k8s.io", "v1", "volumeattributesclasses", "VolumeAttributesClass", namespaced=False
)
CSI_DRIVERS = Resource("storage.k8s.io", "v1", "csidrivers", "CSIDriver", namespaced=False)
CSI_NODES = Resource("storage.k8s.io", "v1", "csinodes", "CSINode", namespaced=False)
CSI_STORAGE_CAPACITIES = Resource("storage.k8s.io", "v1", "csistoragecapacities", "CSIStorageCapacity")


class Key(NamedTuple):
    """Where a virtual object lives: always the *virtual* namespace ("" when cluster-scoped) and the *virtual* name."""

    namespace: str
    name: str


Reference: TypeAlias = tuple[Resource, Key]
"""Names one virtual object of one kind."""

Name: TypeAlias = tuple[str, str, str]
"""Kind, virtual namespace and virtual name of an object."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A field `sync.{direction}.{name}` of the configuration, by which a kind is turned on and off."""

    direction: Literal["to_host", "from_host"]
    name: str
    on: bool = False
    """What holds where the configuration does not say."""

    @property
    def path(self) -> str:
        """Where the configuration has it, below `sync`."""
        return f"{self.direction}.{self.name}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A right on the host that a kind can't do without, in RBAC's terms."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    cluster_scoped: bool = False
    """The objects are in no namespace, so only a ClusterRole can grant it."""

    @classmethod
    def to_read(cls, resource: Resource) -> Rule:
        """What it takes to follow a host collection."""
        return cls(resource.group, (resource.plural,), ("list", "watch"), not resource.namespaced)

    @classmethod
    def to_carry(cls, resource: Resource) -> Rule:
        """What it takes to keep objects of our own in a host collection."""
        verbs = ("create", "delete", "get", "list", "patch", "watch")
        return cls(resource.group, (resource.plural,), verbs, not resource.namespaced)

    @classmethod
    def to_patch(cls, resource: Resource, *subresources: str) -> Rule:
        """What it takes to write subresources."""
        names = tuple(f"{resource.plural}/{each}" for each in subresources)
        return cls(resource.group, names, ("patch",), not resource.namespaced)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A ServiceAccount token a pod asked for, in the virtual cluster's words; hashable, so it can be a cache key."""

    namespace: str
    service_account: str
    pod_name: str
    pod_uid: str
    audiences: tuple[str, ...] = ()
    """Empty means the virtual API server's own."""
    expiration_seconds: int = 3600
    renew: int = 0
    """Counts up when a token in use nears its end, so that the request for its successor is a different request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A minted token; times are seconds since the epoch."""

    value: str = field(repr=False)
    issued: float
    expires: float


class World(Protocol):
    """What a kind may look at besides its own two objects: the engine's memory of one tenant, never a request."""

    @property
    def tenant(self) -> Tenant:
        """The virtual cluster this is about."""

    @property
    def now(self) -> float:
        """Seconds since the epoch."""

    def kind(self, resource: Resource) -> Kind | None:
        """Return the row by which objects of a resource are carried, None where its switch is off.

        Ask before looking at a resource that has a switch: of what is not carried nothing is known.
        """

    def virtual(self, resource: Resource, key: Key) -> Object | None:
        """Return a virtual object of a watched kind."""

    def virtual_list(self, resource: Resource, namespace: str | None = None) -> Iterable[Object]:
        """Return the virtual objects of a watched kind, of one namespace or of all."""

    def host(self, resource: Resource, key: Key, *, owner: Resource | None = None) -> Object | None:
        """Return the host object that belongs to a *virtual* key, as `Kind.host_key` tells.

        `owner` names the kind the key is of, where it is not the object's own: `host(SECRETS, key, owner=PODS)` is the
        Secret the pod kind keeps as a companion of the pod `key`.
        """

    def host_named(self, resource: Resource, name: str) -> Object | None:
        """Return the object of that *host* name in what the tenant has on the host, ours or not."""

    def imported(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """Return an object of a *host* namespace that one of the tenant's imports names."""

    def imported_list(self, resource: Resource, namespace: str) -> Iterable[Object]:
        """Return all objects of a *host* namespace that one of the tenant's imports has to know of."""

    def users(self, resource: Resource, key: Key) -> Iterable[Reference]:
        """Return the virtual objects whose `Kind.references` name this one, whether or not this one exists."""

    def token(self, request: TokenRequest) -> Token | None:
        """Return what a `RequestToken` of exactly this request has brought, while the engine remembers it."""


# Actions. The engine executes them in order and stops at the first that fails. What the API server answers it knows at
# once, so the next reconcile of the key sees it. "Gone" where the action wanted it gone is success; a conflict or a
# failed precondition means that memory was stale: a quiet requeue.


@dataclass(frozen=True, slots=True)
class CreateHost:
    """POST to the object's host namespace. AlreadyExists is a conflict: the next look tells whose object it is."""

    resource: Resource
    object: Object


@dataclass(frozen=True, slots=True)
class PatchHost:
    """JSON merge patch of a host object; the engine adds `metadata.uid` (and `resourceVersion` when given) to it.

    Not an apply: it never creates, so an object that is not ours can't be taken over by it.
    """

    resource: Resource
    name: str
    uid: str
    patch: Object
    subresource: str = ""
    resource_version: str = ""
    """Given where the patch was computed from a list the host side may change, too."""


@dataclass(frozen=True, slots=True)
class DeleteHost:
    """DELETE with a uid precondition; None as grace leaves the API server's default."""

    resource: Resource
    name: str
    uid: str
    grace_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class CreateVirtual:
    """POST to the virtual cluster, into the object's own namespace."""

    resource: Resource
    object: Object


@dataclass(frozen=True, slots=True)
class PatchVirtual:
    """JSON merge patch of a virtual object, like `PatchHost`."""

    resource: Resource
    key: Key
    uid: str
    patch: Object
    subresource: str = ""
    resource_version: str = ""


@dataclass(frozen=True, slots=True)
class UpdateVirtualStatus:
    """PUT to the status subresource; the object carries the resourceVersion it was computed from."""

    resource: Resource
    object: Object


@dataclass(frozen=True, slots=True)
class DeleteVirtual:
    """DELETE with a uid precondition; None as grace leaves the API server's default."""

    resource: Resource
    key: Key
    uid: str
    grace_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Bind:
    """POST a Binding of a virtual pod to a *virtual* node."""

    key: Key
    uid: str
    node: str


@dataclass(frozen=True, slots=True)
class RequestToken:
    """Mint a token on the virtual API server, remember it for `World.token`, look at this key again."""

    request: TokenRequest


@dataclass(frozen=True, slots=True)
class Later:
    """Look at this key again after so many seconds: not a failure, no backoff."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell the user by a Warning event on the virtual object; no retry until something about the key changes."""

    resource: Resource
    key: Key
    reason: str
    """One CamelCase word."""
    message: str


HostAction: TypeAlias = CreateHost | PatchHost | DeleteHost
VirtualAction: TypeAlias = CreateVirtual | PatchVirtual | UpdateVirtualStatus | DeleteVirtual | Bind
Action: TypeAlias = HostAction | VirtualAction | RequestToken | Later | Refuse


def no_references(_virtual: Object) -> frozenset[Reference]:
    """Say that objects of a kind use no others."""
    return frozenset()


def wakes_nobody(_object: Object, _world: World) -> Iterable[Reference]:
    """Say that a change of an object of a kind concerns no other key."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """All the engine knows about a kind of object."""

    resource: Resource
    reconcile: Callable[[Key, Object | None, Object | None, World], Sequence[Action]]
    """`(key, virtual, host, world) -> actions`; pure, level-based; no actions: both sides are as they should be."""
    host_key: Callable[[Object, Tenant], Key | None]
    """Which key of this tenant a *host* object belongs to; None: none, leave it alone.

    Asked for host objects of `resource` and of `companions`, of the tenant's host namespace and cluster-scoped ones. It
    fills what `World.host` answers from. (For events the key is the host's own, with an empty namespace: which virtual
    object an event is about is known only after a look at the world.)
    """
    references: Callable[[Object], frozenset[Reference]] = no_references
    """Which other virtual objects a virtual object uses, existing or not. Feeds `World.users`; whatever enters or
    leaves the set is requeued under its own kind."""
    wakes: Callable[[Object, World], Iterable[Reference]] = wakes_nobody
    """Which other keys to look at again when this virtual or host object was added, changed or removed."""
    companions: tuple[Resource, ...] = ()
    """Further host resources of which this kind keeps objects; a change of one requeues the key `host_key` gives."""
    watch_virtual: bool = True
    watch_host: bool = True
    can_wait: bool = False
    """Its keys stand back behind those of other kinds when there is much to do."""
    one_namespace: bool = False
    """It can tell what is the tenant's only where that is in one host namespace."""
    optional: bool = False
    """Its resource is a definition's, which either side may have or not, and may get or lose at any time."""
    switch: Switch | None = None
    """What turns it on in the configuration; None: it is always on, because pods can't do without it."""
    host_rules: tuple[Rule, ...] = ()
    """Which rights on the host it needs while it is on."""
