"""Nodes as people write them, turned into `NodeShape` values.

A marker, the factory and the ini file all describe simulated nodes; here is the one place that understands the
description. The one rule: pure, and every refusal (`SettingsError`) says which node, what it holds and what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pytest_vcluster.errors import SettingsError
from pytest_vcluster.settings import DEFAULT_CAPACITY, NodeShape, default_nodes

FIELDS = ("name", "labels", "taints", "capacity")
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
ALLOWED = (
    "a number of nodes from 1 on, or a list of nodes, each a mapping such as "
    "{'name': 'gpu-1', 'labels': {'tier': 'gpu'}, 'taints': ['gpu=yes:NoSchedule'], 'capacity': {'cpu': '8'}}"
)

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
_QUANTITY = re.compile(r"\d+(\.\d+)?(m|[kMGTPE]i?|Ki|[eE]\d+)?")
_TAINT = re.compile(r"(?P<key>[^=:]+)(=(?P<value>[^:]*))?:(?P<effect>\w+)")


def parse_nodes(value: object) -> tuple[NodeShape, ...]:
    """Shapes for a number of nodes, or for a list of descriptions; a node without a name becomes `node-<position>`."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return default_nodes(value)
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence) or not value:
        message = f"nodes={value!r} is neither a number from 1 on nor a list of nodes; allowed: {ALLOWED}"
        raise SettingsError(message)
    nodes = tuple(parse_node(item, number=number) for number, item in enumerate(value, start=1))
    names = [node.name for node in nodes]
    for name in names:
        if names.count(name) > 1:
            message = f"two nodes are called {name!r}; every node of a cluster needs a name of its own"
            raise SettingsError(message)
    return nodes


def parse_node(value: object, *, number: int) -> NodeShape:
    """The shape of one described node, the `number`-th of its list."""
    if isinstance(value, NodeShape):
        return value
    if not isinstance(value, Mapping):
        message = f"node {number} is {value!r}; allowed: a mapping with the fields {', '.join(FIELDS)}"
        raise SettingsError(message)
    for field in value:
        if field not in FIELDS:
            message = f"node {number} has the field {field!r}; allowed: {', '.join(FIELDS)}"
            raise SettingsError(message)
    name = value.get("name", f"node-{number}")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        message = f"node {number} is called {name!r}; allowed: up to 40 of a-z, 0-9 and '-', no '-' at the ends"
        raise SettingsError(message)
    return NodeShape(
        name=name,
        labels=_labels(value.get("labels", {}), node=name),
        taints=_taints(value.get("taints", ()), node=name),
        capacity=_capacity(value.get("capacity", {}), node=name),
    )


def _labels(value: object, *, node: str) -> Mapping[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for pair in value.items() for text in pair):
        message = f"labels of node {node!r} are {value!r}; allowed: a mapping of strings to strings"
        raise SettingsError(message)
    return dict(value)


def _taints(value: object, *, node: str) -> tuple[Mapping[str, str], ...]:
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
        message = f"taints of node {node!r} are {value!r}; allowed: a list of 'key=value:Effect'"
        raise SettingsError(message)
    return tuple(_taint(item, node=node) for item in value)


def _taint(value: object, *, node: str) -> Mapping[str, str]:
    fields: Mapping[str, object] = {}
    if isinstance(value, str) and (match := _TAINT.fullmatch(value)):
        fields = {name: text for name, text in match.groupdict().items() if text}
    elif isinstance(value, Mapping):
        fields = value
    known = {str(name): text for name, text in fields.items() if name in {"key", "value", "effect"}}
    well_formed = len(known) == len(fields) and all(isinstance(text, str) for text in known.values())
    if not well_formed or not known.get("key") or known.get("effect") not in EFFECTS:
        message = (
            f"a taint of node {node!r} is {value!r}; allowed: 'key=value:Effect' or a mapping with key, value and "
            f"effect, where the effect is one of {', '.join(EFFECTS)}"
        )
        raise SettingsError(message)
    return {name: str(text) for name, text in known.items()}


def _capacity(value: object, *, node: str) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        message = f"capacity of node {node!r} is {value!r}; allowed: a mapping such as {dict(DEFAULT_CAPACITY)}"
        raise SettingsError(message)
    capacity = dict(DEFAULT_CAPACITY)
    for resource, quantity in value.items():
        number = isinstance(quantity, int | float | str) and not isinstance(quantity, bool)
        if not isinstance(resource, str) or not number or not _QUANTITY.fullmatch(str(quantity)):
            message = (
                f"capacity of node {node!r} has {resource!r}: {quantity!r}; allowed: a quantity such as 4, 500m, 16Gi"
            )
            raise SettingsError(message)
        capacity[resource] = str(quantity)
    return capacity
