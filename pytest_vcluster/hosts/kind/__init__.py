"""A kind cluster as a host: real nodes, which are containers of this machine's Docker.

The one rule: Docker is the database. What is there, whose it is and whether it is to be kept is read from the
containers themselves, so it is known whatever died in between, and nobody's cluster is mistaken for ours.
"""

from pytest_vcluster.hosts.kind.cluster import running
from pytest_vcluster.hosts.kind.host import KindHost
from pytest_vcluster.hosts.kind.nodes import Node

__all__ = ["KindHost", "Node", "running"]
