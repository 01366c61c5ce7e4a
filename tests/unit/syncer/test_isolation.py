"""What bounds a tenant on the host, as it is asked for."""

import pytest
from syncer_worlds import tenant
from vcluster_syncer.isolation import (
    LIMIT_RANGES,
    NO_TERMS,
    RESOURCE_QUOTAS,
    Terms,
    host_rules,
    is_ours,
    name_of,
    objects,
)
from vcluster_syncer.model import NETWORK_POLICIES, Rule
from vcluster_syncer.translate import KINDS

TENANT = tenant()
ALL = Terms(
    quota={"pods": "20", "requests.cpu": "10"},
    limits={"cpu": "1"},
    requests={"cpu": "100m"},
    pod_security="baseline",
    network_policy=True,
)


def test_nothing_is_bounded_that_was_not_asked_for():
    assert list(objects(TENANT, NO_TERMS)) == []
    assert not NO_TERMS.is_bounded
    assert host_rules(NO_TERMS) == ()
    assert [resource for resource, _ in objects(TENANT, Terms(quota={"pods": "1"}))] == [RESOURCE_QUOTAS]
    assert Terms(pod_security="restricted").is_bounded
    assert not Terms(reserve={"cpu": "1"}).is_bounded


def test_quota_and_limits_are_as_configured():
    made = dict(objects(TENANT, ALL))
    assert made[RESOURCE_QUOTAS]["spec"] == {"hard": {"pods": "20", "requests.cpu": "10"}}
    limit = {"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "100m"}}
    assert made[LIMIT_RANGES]["spec"] == {"limits": [limit]}
    [(_, only)] = objects(TENANT, Terms(requests={"memory": "64Mi"}))
    assert only["spec"] == {"limits": [{"type": "Container", "defaultRequest": {"memory": "64Mi"}}]}


def test_the_network_policy_is_about_the_tenants_pods_and_closes_private_networks():
    spec = dict(objects(TENANT, ALL))[NETWORK_POLICIES]["spec"]
    assert spec["podSelector"] == {"matchLabels": {"vcluster-syncer/tenant": "vc-a1"}}
    assert spec["ingress"] == [{"from": [{"podSelector": {}}]}]
    closed = [rule["ipBlock"]["except"] for egress in spec["egress"] for rule in egress["to"] if "ipBlock" in rule]
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"} <= {one for each in closed for one in each}
    assert {"protocol": "UDP", "port": 53} in spec["egress"][1]["ports"]


def test_what_bounds_a_tenant_is_known_and_passes_for_none_of_its_objects():
    for resource, made in objects(TENANT, ALL):
        assert made["metadata"]["name"] == name_of(TENANT)
        assert made["metadata"]["namespace"] == "vc-a1-ns"
        assert is_ours(made, TENANT)
        assert not is_ours(made, tenant("vc-b2"))
        assert not is_ours({"metadata": {**made["metadata"], "annotations": {}}}, TENANT)
        for kind in KINDS:
            if kind.resource == resource:
                assert kind.host_key(made, TENANT) is None


@pytest.mark.parametrize(
    ("terms", "wanted"),
    [
        (
            Terms(reserve={"cpu": "1"}),
            {
                Rule("", ("namespaces",), ("list",), cluster_scoped=True),
                Rule("", ("nodes",), ("list",), cluster_scoped=True),
                Rule("", ("pods",), ("list",), cluster_scoped=True),
                Rule("", ("namespaces",), ("get", "patch"), cluster_scoped=True),
            },
        ),
        (
            Terms(quota={"pods": "1"}),
            {
                *(
                    Rule(group, (plural,), ("create", "delete", "get", "patch"))
                    for group, plural in (
                        ("", "resourcequotas"),
                        ("", "limitranges"),
                        ("networking.k8s.io", "networkpolicies"),
                    )
                ),
                Rule("", ("namespaces",), ("get", "patch"), cluster_scoped=True),
            },
        ),
    ],
)
def test_rights_are_those_that_the_terms_need(terms, wanted):
    assert set(host_rules(terms)) == wanted
