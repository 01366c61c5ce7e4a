"""The nodes of a kind cluster, as Docker tells of them.

The one rule: Docker is asked, and nothing is done to them.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_vcluster.controlplane.last_will import LastWill
from pytest_vcluster.errors import HostError
from pytest_vcluster.hosts.kind.docker import Docker
from pytest_vcluster.hosts.kind.naming import CLUSTER_LABEL, LOAD_BALANCER, ROLE_LABEL

_QUERY_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A container of a kind cluster."""

    name: str
    role: str
    """`control-plane`, `worker`, or `external-load-balancer`, which is no node of the cluster."""
    running: bool
    address: str
    """On the Docker network; empty unless it is running."""
    gateway: str
    """This machine's address on that network (where Docker has its own machine, that one's)."""
    mounts: frozenset[str]
    image: str

    @property
    def is_node(self) -> bool:
        """Whether it runs pods."""
        return self.role != LOAD_BALANCER


def parse(text: str) -> tuple[Node, ...]:
    """The containers of `docker inspect`, sorted: the first control plane is the first."""
    found = []
    for each in json.loads(text):
        network: dict[str, str] = next(iter(each["NetworkSettings"]["Networks"].values()), {})
        labels = each["Config"]["Labels"] or {}
        found.append(
            Node(
                name=each["Name"].removeprefix("/"),
                role=labels.get(ROLE_LABEL, ""),
                running=bool(each["State"]["Running"]),
                address=network.get("IPAddress") or network.get("GlobalIPv6Address") or "",
                gateway=network.get("Gateway") or network.get("IPv6Gateway") or "",
                mounts=frozenset(mount["Destination"] for mount in each.get("Mounts") or ()),
                image=each["Config"]["Image"],
            )
        )
    return tuple(sorted(found, key=lambda node: (node.role != "control-plane", len(node.name), node.name)))


def finding(name: str) -> tuple[str, ...]:
    """The arguments with which `docker` prints the ids of all containers of the kind cluster `name`."""
    return ("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={CLUSTER_LABEL}={name}")


REMOVING = ("rm", "--force", "--volumes")
"""The arguments with which `docker` removes the containers whose ids follow."""


# Which Docker it is; a last will is written to a file, so nothing else of the environment is in it.
_OF_DOCKER = ("DOCKER_", "HOME", "PATH", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK")


def will(
    program: Path, environment: Mapping[str, str], name: str, *, claim: tuple[Path, str] | None = None, mark: str = ""
) -> LastWill:
    """What removes the kind cluster `name` (only containers with `mark`, if one is given) when nobody is there."""
    marked = ("--filter", f"volume={mark}") if mark else ()
    return LastWill(
        find=(str(program), *finding(name), *marked),
        remove=(str(program), *REMOVING),
        environment={key: value for key, value in environment.items() if key.startswith(_OF_DOCKER)},
        claim=claim,
    )


async def containers(docker: Docker, name: str) -> tuple[Node, ...]:
    """All containers of the kind cluster `name`, load balancer included."""
    ids = (await docker.run(*finding(name), timeout=_QUERY_SECONDS)).split()
    if not ids:
        return ()
    answer = await docker.answer("inspect", "--type=container", *ids, timeout=_QUERY_SECONDS)
    if not answer.output.strip():
        raise HostError(f"docker inspect ended with {answer.code}:\n{answer.said}")
    return parse(answer.output)  # without what went in between, of which it complains


def is_ours(address: str) -> bool:
    """Whether `address` is one of this machine's, so that a server can listen on it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
