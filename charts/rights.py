"""Writes the chart's rights, `vcluster/files/rights.yaml`, off the rows of the syncer's kinds.

The one rule: nobody edits that file; `make rights` writes it. A test holds that it is what this makes, and that what
the chart renders is, for every combination of switches, what the syncer itself says that it needs
(`python -m vcluster_syncer --host-rules`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from vcluster_syncer.model import CONFIGMAPS, CSI_STORAGE_CAPACITIES, NODE_METRICS, POD_METRICS, Kind
from vcluster_syncer.switches import as_rbac, host_rules
from vcluster_syncer.tenant_options import IMPORTED, import_rules
from vcluster_syncer.translate import KINDS, figures

FILE = Path(__file__).parent / "vcluster" / "files" / "rights.yaml"
_IN_VALUES = {CONFIGMAPS: "configMaps", CSI_STORAGE_CAPACITIES: "csiStorageCapacities"}
_HEADER = "# Made by `make rights` from what the syncer's kinds need. Don't edit.\n"


def feature(kind: Kind) -> str:
    """Say what has to be on in the values for `kind` to be carried: `always`, or a path such as toHost.ingresses."""
    if kind.switch is None:
        return "always"
    if kind.switch.path == "from_host.nodes":
        return "nodes.shared"
    return re.sub("_([a-z])", lambda match: match[1].upper(), kind.switch.path)


def rights() -> Mapping[str, Mapping[str, Any]]:
    """The rules for each feature, as Roles and ClusterRoles have them."""
    kinds: dict[str, list[Kind]] = {}
    for kind in KINDS:
        kinds.setdefault(feature(kind), []).append(kind)
    made = {name: as_rbac(host_rules(of)) for name, of in kinds.items()}
    for resource in IMPORTED:
        name = f"imports.{_IN_VALUES.get(resource, resource.plural)}"
        # In the namespaces that are named.
        made[name] = as_rbac(host_rules((), import_rules(resource)))
    for resource in (POD_METRICS, NODE_METRICS):
        made[f"metrics.{resource.plural}"] = as_rbac(figures.host_rules((resource,)))
    return dict(sorted(made.items()))


def text() -> str:
    """The file's text."""
    return _HEADER + yaml.safe_dump(rights(), sort_keys=False, width=120)


if __name__ == "__main__":
    FILE.write_text(text())
