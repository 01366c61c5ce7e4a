"""What a test holds: `VCluster`, and one module for each thing that it can do.

The one rule: importing this costs milliseconds. Whatever talks to a server, reads YAML or signs certificates is loaded
by the call that needs it.
"""

from pytest_vcluster.cluster.handle import VCluster

__all__ = ["VCluster"]
