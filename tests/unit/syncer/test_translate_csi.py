"""What schedulers of the virtual cluster go by when they place pods that have volumes."""

import pytest
from syncer_worlds import Worlds, tenant
from vcluster_syncer.model import CSI_NODES, CSI_STORAGE_CAPACITIES, NODES, Import, Key

KEY = Key("", "node-1")


@pytest.mark.parametrize("private", [True, False])
def test_the_drivers_of_a_tenants_node_are_shown_under_the_nodes_name(private: bool) -> None:
    worlds = Worlds(tenant(private_nodes=private), on=["from_host.csi_nodes"])
    node = worlds.node("node-1")
    drivers = [{"name": "d.example.com", "nodeID": node, "topologyKeys": ["zone"]}, {"name": "e", "nodeID": "i-1"}]
    host = worlds.put_host(CSI_NODES, node, spec={"drivers": drivers})
    kind = worlds.kinds[CSI_NODES]
    assert (CSI_NODES, KEY) in list(kind.wakes(host, worlds))
    assert (CSI_NODES, KEY) in list(worlds.kinds[NODES].wakes(worlds.here[NODES, KEY], worlds))
    worlds.settle(CSI_NODES, KEY)
    shown = worlds.here[CSI_NODES, KEY]
    assert [driver["nodeID"] for driver in shown["spec"]["drivers"]] == ["node-1", "i-1"]
    host["spec"]["drivers"] = drivers[:1]
    worlds.settle(CSI_NODES, KEY)
    assert len(shown["spec"]["drivers"]) == 1
    del worlds.there[CSI_NODES, node]
    worlds.settle(CSI_NODES, KEY)
    assert (CSI_NODES, KEY) not in worlds.here


def test_nodes_of_others_are_nobodys_business() -> None:
    worlds = Worlds(on=["from_host.csi_nodes"])
    host = worlds.put_host(CSI_NODES, "vc-b2-node-1", spec={"drivers": []})
    assert list(worlds.kinds[CSI_NODES].wakes(host, worlds)) == []
    assert list(worlds.look(CSI_NODES, Key("", "vc-b2-node-1"))) == []


def test_room_is_shown_where_the_tenant_asks_for_it() -> None:
    one = Import(resource=CSI_STORAGE_CAPACITIES, from_namespace="csi", to_namespace="default")
    worlds = Worlds(tenant(imports=(one,)), on=["from_host.csi_storage_capacities"])
    key = Key("default", "csisc-1")
    host = {"metadata": {"name": key.name, "namespace": "csi", "uid": "h"}, "storageClassName": "fast"}
    worlds.elsewhere[CSI_STORAGE_CAPACITIES, "csi", key.name] = {**host, "capacity": "1Gi"}
    worlds.settle(CSI_STORAGE_CAPACITIES, key)
    assert worlds.here[CSI_STORAGE_CAPACITIES, key]["capacity"] == "1Gi"
    before = worlds.here[CSI_STORAGE_CAPACITIES, key]["metadata"]["uid"]
    worlds.elsewhere[CSI_STORAGE_CAPACITIES, "csi", key.name] = {**host, "capacity": "2Gi"}
    worlds.settle(CSI_STORAGE_CAPACITIES, key)
    shown = worlds.here[CSI_STORAGE_CAPACITIES, key]
    assert (shown["capacity"], shown["metadata"]["uid"]) == ("2Gi", before)
    worlds.elsewhere[CSI_STORAGE_CAPACITIES, "csi", key.name] = {**host, "storageClassName": "slow"}
    worlds.settle(CSI_STORAGE_CAPACITIES, key)
    shown = worlds.here[CSI_STORAGE_CAPACITIES, key]
    assert shown["storageClassName"] == "slow"
    assert shown["metadata"]["uid"] != before
