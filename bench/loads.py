"""What is put into a virtual cluster and, for comparison, straight into its host.

The one rule: pure, and the same objects on both sides; on the host they are only told to keep to the cluster's nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench import names

Object = dict[str, Any]

FEW, MANY = 40, 500
SERVICES = 1000
CONFIG_MAPS, USED = 5000, 100
TENANTS = 50
_QUICK_BY = 10
"""With `--quick`, so many times fewer of what there are many of."""
_CONFIG_MAPS_PER_POD = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many of everything."""

    few: int = FEW
    many: int = MANY
    services: int = SERVICES
    config_maps: int = CONFIG_MAPS
    used: int = USED
    tenants: int = TENANTS

    @classmethod
    def of(cls, *, quick: bool) -> Sizes:
        """The sizes of a whole or of a quick run, in which 40 pods stay 40, and of the rest there is a tenth."""
        if not quick:
            return cls()
        return cls(
            many=MANY // _QUICK_BY,
            services=SERVICES // _QUICK_BY,
            config_maps=CONFIG_MAPS // _QUICK_BY,
            used=USED // _QUICK_BY,
            tenants=TENANTS // _QUICK_BY,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Where objects go: a virtual cluster's namespace, or one of the host's."""

    word: str
    """As in the names of rows: `names.VIRTUAL` or `names.HOST`."""
    namespace: str
    node_selector: Mapping[str, str]
    image: str = "registry.example/none:1"
    """Of all containers; simulated nodes run none."""


def pod(name: str, side: Side, *, config_maps: Sequence[str] = ()) -> Object:
    """A pod of one container, which uses the ConfigMaps named."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": _pod_spec(side, config_maps)}


def pods(count: int, side: Side) -> list[Object]:
    """So many pods."""
    return [pod(f"pod-{number:04}", side) for number in range(count)]


def deployment(count: int, side: Side) -> Object:
    """A Deployment of so many pods."""
    labels = {"app": "bench"}
    template = {"metadata": {"labels": labels}, "spec": _pod_spec(side, ())}
    spec = {"replicas": count, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "bench"}, "spec": spec}


def services(count: int) -> list[Object]:
    """So many Services with a selector."""
    spec = {"selector": {"app": "nobody"}, "ports": [{"port": 80}]}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"service-{number:04}"}, "spec": spec}
        for number in range(count)
    ]


def config_maps(count: int) -> list[Object]:
    """So many ConfigMaps."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"config-{number:04}"},
            "data": {"settings": f"number: {number}\n" * 5},
        }
        for number in range(count)
    ]


def users(used: int, side: Side) -> list[Object]:
    """Pods that use the first so many of those ConfigMaps, each some of them."""
    wanted = [f"config-{number:04}" for number in range(used)]
    shares = [wanted[start : start + _CONFIG_MAPS_PER_POD] for start in range(0, used, _CONFIG_MAPS_PER_POD)]
    return [pod(f"user-{number:04}", side, config_maps=share) for number, share in enumerate(shares)]


def row(case: str, side: Side) -> str:
    """The name of the row for a case on a side."""
    return names.CARRY.format(case=case, side=side.word)


def _pod_spec(side: Side, config_maps: Sequence[str]) -> Object:
    container: Object = {"name": "main", "image": side.image}
    if config_maps:
        container["envFrom"] = [{"configMapRef": {"name": name}} for name in config_maps]
    return {"containers": [container], **({"nodeSelector": dict(side.node_selector)} if side.node_selector else {})}
