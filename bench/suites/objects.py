"""What the measured tests put into their clusters. The one rule: plain manifests, the same for every contender."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

Object = dict[str, Any]

WARM_UP_SECONDS = 1.5
GROUP = "bench.example.com"
_SCHEMA = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def definition(kind: str = "Widget") -> Object:
    """A definition of a namespaced kind with any fields."""
    plural = f"{kind.lower()}s"
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": _SCHEMA}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [version],
        },
    }


def widget(name: str, **fields: object) -> Object:
    """A custom resource."""
    return {"apiVersion": f"{GROUP}/v1", "kind": "Widget", "metadata": {"name": name}, **fields}


def config_map(name: str, **data: str) -> Object:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def numbers() -> range:
    """The numbers of the tests; those of the tests that don't count are below 0."""
    return range(-int(os.environ.get("BENCH_WARM_UP", "0")), int(os.environ["BENCH_COUNT"]))


def touched(number: int) -> list[Object]:
    """What the test of that number touches: 3 custom resources and 7 to 97 other objects."""
    # 37 has no divisor in common with 91: every number of objects has its turn.
    return [*(widget(f"widget-{each}", spec={"size": each}) for each in range(3)), *mixed(7 + number * 37 % 91)]


def mixed(count: int) -> list[Object]:
    """`count` objects of the kinds that an operator makes: half of them ConfigMaps, and no pods."""
    makers: tuple[Callable[[str], Object], ...] = (config_map, _secret, config_map, _service, config_map, _account)
    return [makers[number % len(makers)](f"object-{number}") for number in range(count)]


def _secret(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"password": name}}


def _service(name: str) -> Object:
    spec = {"selector": {"app": name}, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def _account(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
