"""Services that are shown on the other side: the host's in the virtual cluster, virtual ones by name on the host."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from syncer_worlds import Worlds, tenant
from vcluster_syncer.model import (
    ENDPOINT_SLICES,
    NAMESPACES,
    SERVICES,
    CreateHost,
    CreateVirtual,
    Export,
    Import,
    Key,
    Later,
    Part,
)
from vcluster_syncer.naming import host_name

DB = Key("default", "db")
PORTS = [{"name": "sql", "port": 5432, "protocol": "TCP", "targetPort": "sql"}]
LEADS_TO = "kubernetes.io/service-name"


def importing(origin: str = "shared/postgres", target: str = "default/db") -> Worlds:
    (from_namespace, from_name), (to_namespace, to_name) = origin.split("/"), target.split("/")
    made = Import(
        resource=SERVICES,
        from_namespace=from_namespace,
        from_name=from_name,
        to_namespace=to_namespace,
        to_name=to_name,
        parts=(Part(ENDPOINT_SLICES, LEADS_TO),),
    )
    return Worlds(tenant(imports=(made,)))


def at_host(worlds: Worlds, name: str = "postgres", **spec: Any) -> dict[str, Any]:
    spec = {"type": "ClusterIP", "clusterIP": "10.64.9.9", "ports": PORTS, "selector": {"app": "postgres"}, **spec}
    worlds.elsewhere[SERVICES, "shared", name] = item = {
        "metadata": {"name": name, "namespace": "shared", "uid": f"h-{name}", "labels": {"team": "a"}},
        "spec": spec,
    }
    return item


def slice_at_host(worlds: Worlds, *addresses: str, name: str = "postgres-1", of: str = "postgres") -> dict[str, Any]:
    worlds.elsewhere[ENDPOINT_SLICES, "shared", name] = item = {
        "metadata": {"name": name, "namespace": "shared", "uid": f"h-{name}", "labels": {LEADS_TO: of}},
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": [each], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": "postgres-0"}}
            for each in addresses
        ],
        "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
    }
    return item


def shown_slices(worlds: Worlds) -> dict[str, list[str]]:
    return {
        key.name: [address for endpoint in item.get("endpoints") or () for address in endpoint["addresses"]]
        for (resource, key), item in worlds.here.items()
        if resource == ENDPOINT_SLICES
    }


def test_one_of_the_hosts_is_shown_without_its_address_and_leads_where_it_does() -> None:
    worlds = importing()
    at_host(worlds)
    slice_at_host(worlds, "10.1.0.7", "10.1.0.8")
    slice_at_host(worlds, "10.1.0.9", name="other-1", of="other")
    worlds.settle(SERVICES, DB)
    shown = worlds.here[SERVICES, DB]
    assert shown["spec"] == {"type": "ClusterIP", "ports": PORTS}
    assert shown["metadata"]["labels"] == {"team": "a"}
    assert list(shown_slices(worlds).values()) == [["10.1.0.7", "10.1.0.8"]]
    (found,) = worlds.virtual_list(ENDPOINT_SLICES)
    assert found["metadata"]["labels"][LEADS_TO] == "db"
    assert "targetRef" not in found["endpoints"][0]


def test_it_is_carried_with_the_address_that_it_got_in_the_virtual_cluster() -> None:
    worlds = importing()
    at_host(worlds)
    slice_at_host(worlds, "10.1.0.7")
    worlds.settle(SERVICES, DB)
    worlds.here[SERVICES, DB]["spec"]["clusterIP"] = "10.96.4.9"
    worlds.settle(SERVICES, DB)
    (name,) = shown_slices(worlds)
    worlds.settle(ENDPOINT_SLICES, Key("default", name))
    host = worlds.there[SERVICES, host_name("vc-a1", *DB)]
    assert host["spec"]["clusterIP"] == "10.96.4.9"
    assert not host["spec"].get("selector")
    leads = worlds.there[ENDPOINT_SLICES, host_name("vc-a1", "default", name)]
    assert leads["metadata"]["labels"][LEADS_TO] == host["metadata"]["name"]
    assert leads["endpoints"][0]["addresses"] == ["10.1.0.7"]


def test_it_follows_the_host_and_what_a_user_changes_is_put_back() -> None:
    worlds = importing()
    at_host(worlds)
    moved = slice_at_host(worlds, "10.1.0.7")
    worlds.settle(SERVICES, DB)
    ports = [{**PORTS[0], "port": 5433}]
    at_host(worlds, ports=ports)
    moved["endpoints"] = []
    worlds.settle(SERVICES, DB)
    assert worlds.here[SERVICES, DB]["spec"]["ports"] == ports
    assert list(shown_slices(worlds).values()) == [[]]
    worlds.here[SERVICES, DB]["spec"]["ports"] = PORTS
    (found,) = worlds.virtual_list(ENDPOINT_SLICES)
    del worlds.here[ENDPOINT_SLICES, Key("default", found["metadata"]["name"])]
    worlds.settle(SERVICES, DB)
    assert worlds.here[SERVICES, DB]["spec"]["ports"] == ports
    assert len(shown_slices(worlds)) == 1


def test_it_goes_with_the_hosts_and_so_does_where_it_led() -> None:
    worlds = importing()
    at_host(worlds)
    slice_at_host(worlds, "10.1.0.7")
    worlds.settle(SERVICES, DB)
    del worlds.elsewhere[SERVICES, "shared", "postgres"]
    worlds.settle(SERVICES, DB)
    assert (SERVICES, DB) not in worlds.here
    assert not shown_slices(worlds)


def test_it_is_made_anew_when_it_gets_or_loses_its_address() -> None:
    worlds = importing()
    at_host(worlds)
    worlds.settle(SERVICES, DB)
    worlds.here[SERVICES, DB]["spec"]["clusterIP"] = "10.96.4.9"
    at_host(worlds, clusterIP="None")
    worlds.settle(SERVICES, DB)
    assert worlds.here[SERVICES, DB]["spec"]["clusterIP"] == "None"


def test_a_service_that_the_user_made_under_its_name_is_his_and_he_is_told() -> None:
    worlds = importing()
    worlds.put(SERVICES, "default", "db", spec={"type": "ClusterIP", "clusterIP": "10.96.4.9", "ports": PORTS})
    at_host(worlds, ports=[])
    slice_at_host(worlds, "10.1.0.7")
    worlds.settle(SERVICES, DB)
    assert {refused.reason for refused in worlds.refused} == {"NameTaken"}
    assert worlds.here[SERVICES, DB]["spec"]["ports"] == PORTS
    assert not shown_slices(worlds)


def test_of_all_that_are_shown_one_that_the_user_has_is_passed_over_in_silence() -> None:
    worlds = importing("shared/*", "default/*")
    worlds.put(SERVICES, "default", "postgres", spec={"type": "ClusterIP", "clusterIP": "10.96.4.9", "ports": PORTS})
    at_host(worlds)
    worlds.settle(SERVICES, Key("default", "postgres"))
    assert not worlds.refused


def test_nothing_is_shown_in_a_namespace_that_is_not_there_yet() -> None:
    worlds = importing(target="later/db")
    at_host(worlds)
    assert [type(each) for each in worlds.look(SERVICES, Key("later", "db"))] == [Later]
    worlds.put(NAMESPACES, "", "later")
    assert [type(each) for each in worlds.look(SERVICES, Key("later", "db"))] == [CreateVirtual]


def test_the_copy_of_a_tenants_own_service_is_not_the_hosts_but_what_others_export_is() -> None:
    worlds = importing()
    labels = at_host(worlds)["metadata"]["labels"]
    labels["vcluster-syncer/tenant"] = "another"
    assert not worlds.look(SERVICES, DB)
    worlds.elsewhere[SERVICES, "shared", "postgres"]["metadata"]["annotations"] = {"vcluster-syncer/exported": "a/b"}
    assert worlds.look(SERVICES, DB)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(["postgres", "other"])), max_size=6))
def test_after_any_coming_and_going_exactly_the_hosts_slices_are_shown(steps: list[tuple[str, str]]) -> None:
    worlds = importing()
    at_host(worlds)
    for name, of in steps:
        if worlds.elsewhere.pop((ENDPOINT_SLICES, "shared", name), None) is None:
            slice_at_host(worlds, f"10.1.0.{ord(name)}", name=name, of=of)
        worlds.settle(SERVICES, DB)
        there = [item for (kind, _, _), item in worlds.elsewhere.items() if kind == ENDPOINT_SLICES]
        wanted = [item for item in there if item["metadata"]["labels"][LEADS_TO] == "postgres"]
        told = [[endpoint["addresses"][0] for endpoint in item["endpoints"]] for item in wanted]
        assert sorted(shown_slices(worlds).values()) == sorted(told)


def exporting(**spec: Any) -> Worlds:
    worlds = Worlds(tenant(exports=(Export(DB, "tenant-db"),)))
    made = {"type": "NodePort", "clusterIP": "10.96.4.9", "ports": [{**PORTS[0], "nodePort": 30001}], **spec}
    worlds.put(SERVICES, "default", "db", spec=made)
    return worlds


def test_a_virtual_one_is_on_the_host_by_name_as_well_with_an_address_of_the_hosts() -> None:
    worlds = exporting(selector={"app": "db"})
    worlds.settle(SERVICES, DB)
    there = worlds.there[SERVICES, "tenant-db"]
    assert there["spec"] == {
        "type": "ClusterIP",
        "ports": PORTS,
        "selector": worlds.there[SERVICES, host_name("vc-a1", *DB)]["spec"]["selector"],
    }


def test_what_is_exported_follows_and_goes_with_its_service() -> None:
    worlds = exporting(selector={"app": "db"})
    worlds.settle(SERVICES, DB)
    worlds.here[SERVICES, DB]["spec"]["ports"] = ports = [{**PORTS[0], "port": 5433}]
    worlds.there[SERVICES, "tenant-db"]["spec"]["selector"] = {"app": "elsewhere"}
    worlds.settle(SERVICES, DB)
    assert worlds.there[SERVICES, "tenant-db"]["spec"]["ports"] == ports
    assert worlds.there[SERVICES, "tenant-db"]["spec"]["selector"]["app"] == "db"
    del worlds.here[SERVICES, DB]
    worlds.settle(SERVICES, DB)
    assert not worlds.there


def test_a_foreign_service_of_that_name_is_left_alone_and_the_user_is_told() -> None:
    worlds = exporting()
    foreign = worlds.put_host(SERVICES, "tenant-db", spec={"clusterIP": "10.64.1.1"})
    worlds.settle(SERVICES, DB)
    assert "tenant-db" in worlds.refused[0].message
    assert foreign["spec"] == {"clusterIP": "10.64.1.1"}
    assert (SERVICES, host_name("vc-a1", *DB)) in worlds.there
    assert list(worlds.kinds[SERVICES].wakes(foreign, worlds)) == [(SERVICES, DB)]


def test_what_was_exported_goes_when_nobody_asks_for_it_any_more() -> None:
    worlds = exporting()
    worlds.settle(SERVICES, DB)
    left = Key("", "tenant-db")
    assert worlds.look(SERVICES, left) == ()
    worlds.tenant = tenant()
    worlds.settle(SERVICES, left)
    assert [name for _, name in worlds.there] == [host_name("vc-a1", *DB)]


def test_another_tenants_export_is_foreign() -> None:
    worlds = exporting()
    own = {"labels": {"vcluster-syncer/tenant": "another"}, "annotations": {"vcluster-syncer/exported": "default/db"}}
    worlds.put_host(SERVICES, "tenant-db", metadata=own, spec={})
    assert [type(each) for each in worlds.look(SERVICES, DB)].count(CreateHost) == 1
    worlds.settle(SERVICES, DB)
    assert worlds.refused


def test_a_headless_one_stays_headless_and_is_made_anew_for_it() -> None:
    worlds = exporting()
    worlds.settle(SERVICES, DB)
    worlds.here[SERVICES, DB]["spec"] |= {"clusterIP": "None", "type": "ClusterIP"}
    worlds.settle(SERVICES, DB)
    assert worlds.there[SERVICES, "tenant-db"]["spec"]["clusterIP"] == "None"


def test_what_leads_to_it_by_hand_leads_to_what_is_exported_as_well() -> None:
    worlds = exporting()
    worlds.settle(SERVICES, DB)
    key = Key("default", "db-by-hand")
    virtual = worlds.put(
        ENDPOINT_SLICES,
        *key,
        metadata={"labels": {LEADS_TO: "db"}},
        addressType="IPv4",
        endpoints=[{"addresses": ["10.1.0.7"]}],
        ports=[],
    )

    def leads() -> dict[str, list[str]]:
        return {
            item["metadata"]["labels"][LEADS_TO]: item["endpoints"][0]["addresses"]
            for (resource, _), item in worlds.there.items()
            if resource == ENDPOINT_SLICES
        }

    worlds.settle(ENDPOINT_SLICES, key)
    assert leads() == {host_name("vc-a1", *DB): ["10.1.0.7"], "tenant-db": ["10.1.0.7"]}
    virtual["endpoints"] = [{"addresses": ["10.1.0.8"]}]
    worlds.settle(ENDPOINT_SLICES, key)
    assert leads()["tenant-db"] == ["10.1.0.8"]
    virtual["metadata"]["labels"] = {}
    worlds.settle(ENDPOINT_SLICES, key)
    assert leads() == {}


def test_a_slice_that_lost_its_label_to_an_edit_gets_it_back() -> None:
    worlds = importing()
    at_host(worlds)
    slice_at_host(worlds, "10.1.0.7")
    worlds.settle(SERVICES, DB)
    (shown,) = [item for (kind, _), item in worlds.here.items() if kind == ENDPOINT_SLICES]
    shown["metadata"]["labels"] = {}
    worlds.settle(SERVICES, DB)
    assert shown["metadata"]["labels"][LEADS_TO] == "db"
    assert len(shown_slices(worlds)) == 1
