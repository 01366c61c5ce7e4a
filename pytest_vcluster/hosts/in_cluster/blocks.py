"""Which Service addresses a virtual cluster may give out: a block of the host's range that no other cluster has.

The one rule: the host's own allocator is the lock. A block is taken by making the Service of the virtual cluster with
the block's first address; of all who try, on however many machines, one gets it.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_vcluster.controlplane.networks import SERVICE_RANGES, ServiceRange

_USUAL_PREFIX, _SMALLEST_PREFIX = 24, 28
"""Of a block: 256 addresses, and never fewer than 16."""
_BITS = 4
"""A host whose range is small has at least 16 blocks, if they can be that small."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block of Service addresses; `service_range` if states can be moved to it byte for byte."""

    cidr: str
    kubernetes_ip: str
    dns_ip: str
    service_range: ServiceRange | None = None


def blocks(host_range: str, chance: random.Random) -> Iterator[Block]:
    """All blocks of the host's range (CIDR), in an order of chance; ValueError if it has room for none or no IPv4."""
    network = ipaddress.IPv4Network(host_range)
    movable = [part for part in SERVICE_RANGES if ipaddress.IPv4Network(part.cidr).subnet_of(network)]
    if movable:
        chance.shuffle(movable)
        return (Block(part.cidr, part.kubernetes_ip, part.dns_ip, part) for part in movable)
    prefix = min(_SMALLEST_PREFIX, max(_USUAL_PREFIX, network.prefixlen + _BITS))
    if network.prefixlen >= prefix:
        raise ValueError(f"the host's Service range {host_range} has room for no virtual cluster's Services")
    # The host gives out the lowest addresses first to those who ask for none, and its own DNS is there.
    parts = list(network.subnets(new_prefix=prefix))[1:]
    chance.shuffle(parts)
    return (_block(part) for part in parts)


def _block(part: ipaddress.IPv4Network) -> Block:
    return Block(str(part), str(part.network_address + 1), str(part.network_address + 10))
