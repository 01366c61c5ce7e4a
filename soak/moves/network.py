"""Moves with Services and what else deals with addresses.

The one rule: fixed addresses and ports come from a few, so that leases ask for the same ones: whoever finds one taken
by a lease before has met a cache that was not cleared. (The requests then fail, and `probes` tell of it.)
"""

from __future__ import annotations

from typing import Any

from soak.model import SERVICE_ADDRESS, Step
from soak.moves.move import Move, move
from soak.world import World, selector

_PLACES = (10, 77, 78, 300, 4000)
_NODE_PORTS = (30000, 30080, 31999, 32767)


def _ports(world: World, **more: object) -> list[dict[str, Any]]:
    dice = world.dice
    protocol = dice.pick(("TCP", "TCP", "UDP"))
    return [{"name": "main", "port": dice.between(1, 65535), "targetPort": 80, "protocol": protocol, **more}]


def _service(world: World, **spec: object) -> list[Step]:
    return [world.create("services", {"spec": {"selector": world.dice.selector(), "ports": _ports(world), **spec}})]


@move(5)
def service(world: World) -> list[Step]:
    """A Service with any address."""
    return _service(world, **world.dice.maybe(0.2, sessionAffinity="ClientIP"))


@move(4)
def service_with_its_address(world: World) -> list[Step]:
    """A Service that asks for an address."""
    return _service(world, clusterIP=SERVICE_ADDRESS % world.dice.pick(_PLACES))


@move(4)
def node_port(world: World) -> list[Step]:
    """A NodePort, of its own choosing or not."""
    dice = world.dice
    return _service(world, type="NodePort", ports=_ports(world, **dice.maybe(0.6, nodePort=dice.pick(_NODE_PORTS))))


@move(2)
def load_balancer(world: World) -> list[Step]:
    """A LoadBalancer, and what a cloud would say of it."""
    steps = _service(world, type="LoadBalancer", **world.dice.maybe(0.4, allocateLoadBalancerNodePorts=False))
    status = {"status": {"loadBalancer": {"ingress": [{"ip": f"192.0.2.{world.dice.between(1, 250)}"}]}}}
    return [*steps, world.merge(world.made[-1], status, subresource="status")]


@move(2)
def headless_service(world: World) -> list[Step]:
    """A Service without an address."""
    return _service(world, clusterIP="None", publishNotReadyAddresses=True)


@move(1)
def external_name(world: World) -> list[Step]:
    """A Service that is a name."""
    return [world.create("services", {"spec": {"type": "ExternalName", "externalName": "example.org"}})]


@move(3)
def change_of_service(world: World) -> list[Step]:
    """A Service that becomes one of another type, and gives back or takes addresses and ports."""
    made = world.found("services")
    if made is None:
        return node_port(world)
    kind = world.dice.pick(("ClusterIP", "NodePort", "LoadBalancer"))
    return [world.merge(made, {"spec": {"type": kind}}), *([world.delete(made)] if world.dice.chance(0.3) else [])]


@move(2)
def endpoint_slice(world: World) -> list[Step]:
    """An EndpointSlice by hand, for a Service that there may be."""
    dice = world.dice
    label = {"labels": {"kubernetes.io/service-name": dice.name()}}
    parts = {
        "addressType": "IPv4",
        "endpoints": [{"addresses": [f"192.0.2.{dice.between(1, 250)}"], "conditions": {"ready": True}}],
        "ports": [{"name": "main", "port": 80}],
    }
    return [world.create("endpointslices", parts, metadata=label)]


@move(2)
def ingress(world: World) -> list[Step]:
    """An Ingress."""
    backend = {"service": {"name": world.dice.name(), "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    rule = {"host": f"{world.dice.word()}.example.org", "http": {"paths": [path]}}
    return [world.create("ingresses", {"spec": {"ingressClassName": world.dice.name(), "rules": [rule]}})]


@move(2)
def ingress_class(world: World) -> list[Step]:
    """An IngressClass; as the default one it changes every Ingress that comes after it."""
    default = {"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}
    metadata = default if world.dice.chance(0.5) else {}
    return [world.create("ingressclasses", {"spec": {"controller": "example.org/c"}}, metadata=metadata)]


@move(2)
def network_policy(world: World) -> list[Step]:
    """A NetworkPolicy."""
    spec = {"podSelector": selector(world.dice.selector()), "policyTypes": ["Ingress"], "ingress": []}
    return [world.create("networkpolicies", {"spec": spec})]


@move(1)
def ip_address(world: World) -> list[Step]:
    """An address of the Service range that is taken by nobody."""
    name = SERVICE_ADDRESS % world.dice.between(500, 600)
    parent = {"group": "", "resource": "services", "namespace": "default", "name": world.dice.name()}
    parts = {"spec": {"parentRef": parent}}
    labels = {"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io", "ipaddress.kubernetes.io/ip-family": "IPv4"}
    managed = {"labels": labels} if world.dice.chance(0.5) else {}
    return [world.create("ipaddresses", parts, name=name, metadata=managed)]


@move(2, rough=True)
def service_cidr(world: World) -> list[Step]:
    """Another range for Services, and a Service in it."""
    cidr = f"10.{world.dice.between(200, 205)}.0.0/24"
    steps = [world.create("servicecidrs", {"spec": {"cidrs": [cidr]}})]
    if world.dice.chance(0.5):
        steps += _service(world, clusterIP=cidr.replace(".0/24", ".9"))
    return steps


MOVES: tuple[Move, ...] = (
    service, service_with_its_address, node_port, load_balancer, headless_service, external_name, change_of_service,
    endpoint_slice, ingress, ingress_class, network_policy, ip_address, service_cidr,
)  # fmt: skip
