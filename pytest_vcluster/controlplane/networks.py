"""Which IP ranges clusters use: pure arithmetic, so that no two clusters of a run are ever handed the same range.

The one rule: a virtual cluster allocates its Service IPs from a sub-range that nobody else on the host uses. The host
can therefore give a Service the very IP that the virtual API server already put into its create response.

The sub-ranges are chosen so that all their addresses have the same number of characters: a stored object can be moved
to another sub-range by replacing bytes in place, whatever its encoding (see `template`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

HOST_SERVICE_RANGE = "10.64.0.0/10"
KIND_SERVICE_RANGE = "10.112.0.0/12"
"""The largest range that kubeadm takes, laid around sub-ranges of ours."""
_SECONDS = range(100, 128)  # 10.100.* ... 10.127.*, inside the host's range and always three digits
_THIRDS = range(112, 256, 16)  # starts of /20 blocks whose third octet always has three digits


@dataclass(frozen=True, slots=True, order=True)
class ServiceRange:
    """One /20 block of Service IPs: 4094 of them, `10.<second>.<third>.0/20`."""

    second: int
    third: int

    @property
    def cidr(self) -> str:
        """The block in CIDR notation, for --service-cluster-ip-range."""
        return f"10.{self.second}.{self.third}.0/20"

    @property
    def kubernetes_ip(self) -> str:
        """The first address, which Kubernetes gives to the Service `default/kubernetes`."""
        return f"10.{self.second}.{self.third}.1"

    @property
    def dns_ip(self) -> str:
        """The address that is customary for the cluster's DNS Service."""
        return f"10.{self.second}.{self.third}.10"


SERVICE_RANGES: tuple[ServiceRange, ...] = tuple(
    ServiceRange(second, third) for second in _SECONDS for third in _THIRDS
)
ORIGIN = SERVICE_RANGES[0]
"""The range that templates are made with; no cluster of a run gets it."""


def mover(origin: ServiceRange, target: ServiceRange) -> Callable[[bytes], bytes]:
    """Make a function that moves every address of `origin` inside a byte string to `target`, length unchanged."""
    thirds = b"|".join(str(origin.third + step).encode() for step in range(16))
    pattern = re.compile(rb"(?<![0-9.])10\.%d\.(%s)(?=\.[0-9])" % (origin.second, thirds))

    def moved(match: re.Match[bytes]) -> bytes:
        step = int(match.group(1)) - origin.third
        return b"10.%d.%d" % (target.second, target.third + step)

    return lambda value: pattern.sub(moved, value)


def pod_cidr(node_number: int) -> str:
    """The pod range of the run's simulated node number `node_number`: one /24 of 10.128.0.0/9, 32768 of them."""
    number = node_number % 32768
    return f"10.{128 + (number >> 8)}.{number & 255}.0/24"


def node_ip(node_number: int) -> str:
    """The internal IP of the run's simulated node number `node_number`, in 10.0.0.0/11 so that it meets no pod."""
    number = node_number % 32768
    return f"10.{number >> 14}.{(number >> 6) & 255}.{(number & 63) + 1}"
