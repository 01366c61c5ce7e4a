import functools
import json

import pytest
from comparison_states import cluster, metadata, pem, trust_bundle, uid
from hypothesis import given
from hypothesis import strategies as st

from pytest_vcluster.comparison import ApiState, Schemas, differences
from pytest_vcluster.comparison.differing import shortened

TRUST_BUNDLES = "clustertrustbundles.certificates.k8s.io"
BUNDLE = f"{TRUST_BUNDLES} kubernetes.io:server:<the digest of its certificates>"
OF_BUNDLE = '"<the certificate of kubernetes.io:server:<the digest of its certificates> trustBundle>"'
OTHER_BUNDLE = next(iter(cluster(2).objects[TRUST_BUNDLES]))
numbers = st.integers(min_value=1, max_value=10_000)


@given(one=numbers, other=numbers)
def test_two_clusters_that_are_alike_have_no_differences(one, other):
    assert differences(cluster(one), cluster(other)) == []


def test_the_states_are_left_as_they_are():
    expected, found = cluster(1), cluster(2)
    differences(expected, found)
    assert (expected, found) == (cluster(1), cluster(2))


def _service(state):
    return state.objects["services"]["default/kubernetes"]


def _role(state):
    return state.objects["clusterroles.rbac.authorization.k8s.io"]["admin"]


def _extra_config_map(state):
    made = metadata(2, 99, "left", "default")
    made["managedFields"][0]["manager"] = "a-test"
    state.objects["configmaps"]["default/left"] = {"metadata": made}


def _event(state):
    about = {"kind": "Pod", "namespace": "default", "name": "web"}
    made = metadata(2, 99, "web.1", "default")
    state.objects["events"] = {
        "default/web.1": {"metadata": made, "involvedObject": about, "reason": "Killing", "message": "it was time"}
    }


def _terminating_pod(state):
    made = metadata(2, 99, "stuck", "default", finalizers=["example.org/never"])
    del made["managedFields"]
    state.objects["pods"]["default/stuck"] = {"metadata": {**made, "deletionTimestamp": "2026-01-01T00:00:00Z"}}


def _dangling_owner(state):
    address = next(iter(state.objects["ipaddresses.networking.k8s.io"].values()))
    address["metadata"]["ownerReferences"][0]["uid"] = uid(2, 98)


def _other_service_address(state):
    for kind in ("services", "ipaddresses.networking.k8s.io"):
        state.objects[kind].update(json.loads(json.dumps(state.objects[kind]).replace("10.102.128.1", "10.102.129.7")))
    del state.objects["ipaddresses.networking.k8s.io"]["10.102.128.1"]


def _other_range(state):
    state.objects["servicecidrs.networking.k8s.io"]["kubernetes"]["spec"]["cidrs"] = ["10.102.128.0/24"]


def _labelled(state):
    _service(state)["metadata"]["labels"] = {"example.org/a": "b"}


def _field_of_another_manager(state):
    entries = _role(state)["metadata"]["managedFields"]
    entries.append({"manager": "a-test", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {}})


def _other_verbs(state):
    _role(state)["rules"][0]["verbs"] = ["get"]


def _another_rule(state):
    _role(state)["rules"].insert(0, {"apiGroups": ["*"]})


def _no_role(state):
    state.objects["clusterroles.rbac.authorization.k8s.io"].clear()


def _wrong_certificate(state):
    state.objects["configmaps"]["kube-system/kube-root-ca.crt"]["data"]["ca.crt"] = pem("somebody else's")


def _trust_bundle_of_another_cluster(state):
    state.objects[TRUST_BUNDLES].clear()
    state.objects[TRUST_BUNDLES].update(trust_bundle(2, pem("servers of 1")))


def _trust_bundle_of_another_name(state):
    (bundle,) = state.objects[TRUST_BUNDLES].values()
    bundle["spec"]["trustBundle"] += "more"


def _no_certificate(state):
    state.objects["configmaps"]["default/kube-root-ca.crt"]["data"] = {}


def _tainted(state):
    state.objects["nodes"]["node-2"]["spec"]["taints"] = [{"key": "a", "effect": "NoSchedule"}]


def _not_ready(state):
    state.objects["nodes"]["node-1"]["status"]["conditions"][0]["status"] = "False"


def _another_group(state):
    state.discovery["/apis"]["groups"].append({"name": "example.org"})
    state.discovery["/apis/example.org"] = {"name": "example.org"}


def _another_order(state):
    state.discovery["/apis"]["groups"].reverse()


def _stale(state):
    state.discovery["/apis (aggregated)"]["items"][0]["versions"][0]["freshness"] = "Stale"


def _another_schema(state):
    state.schemas["apis/apps/v1"] = Schemas(hash="A2", parts={"path /a": "9", "path /c": "3"})
    state.schemas["apis/example.org/v1"] = Schemas(hash="B1")


def _failing(state):
    state.failures["/apis/example.org/v1/widgets"] = "503 ServiceUnavailable"


ROLE = "clusterroles.rbac.authorization.k8s.io admin"
ADDRESS = "ipaddresses.networking.k8s.io <service address 1>"
OTHER_ADDRESS = "ipaddresses.networking.k8s.io <service address 263>"
SERVICE = "services default/kubernetes"
MOVED = '"<service address 1>" expected, "<service address 263>" found'
OF_DEFAULT, OF_SYSTEM = (
    f'"<the certificate of {name}/kube-root-ca.crt ca.crt>"' for name in ("default", "kube-system")
)
RANGE = "servicecidrs.networking.k8s.io kubernetes"
SMALLER = '"<service address 0>/20" expected, "<service address 0>/24" found'
OWNER = '"<the uid of services default/kubernetes>" expected, "00000002-0000-4000-8000-000000000098" found'
TWO_RULES = '[{"apiGroups": ["*"]}, {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]'
OF_WEB = 'of Pod default/web: Killing, "it was time"'
ENTRY = '{"apiVersion": "v1", "fieldsV1": {}, "manager": "a-test", "operation": "Apply"}'


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (_extra_config_map, ["configmaps default/left: extra (written by a-test)"]),
        (_event, [f"events default/web.1: extra (written by kube-apiserver; {OF_WEB})"]),
        (_terminating_pod, ["pods default/stuck: extra (being deleted; held by example.org/never)"]),
        (_no_role, [f"{ROLE}: missing"]),
        (_other_verbs, [f'{ROLE} .rules[0].verbs: 2 elements expected, 1 found: ["get"]']),
        (_another_rule, [f"{ROLE} .rules: 1 elements expected, 2 found: {TWO_RULES}"]),
        (_field_of_another_manager, [f"{ROLE} .metadata.managedFields[a-test Apply v1]: extra, {ENTRY} found"]),
        (_labelled, [f'{SERVICE} .metadata.labels: extra, {{"example.org/a": "b"}} found']),
        (_dangling_owner, [f"{ADDRESS} .metadata.ownerReferences[kubernetes].uid: {OWNER}"]),
        (
            _other_service_address,
            [
                f"{ADDRESS}: missing",
                f"{OTHER_ADDRESS}: extra (written by kube-apiserver)",
                f"{SERVICE} .spec.clusterIP: {MOVED}",
                f"{SERVICE} .spec.clusterIPs[0]: {MOVED}",
            ],
        ),
        (
            _wrong_certificate,
            [f"configmaps kube-system/kube-root-ca.crt .data[ca.crt]: {OF_DEFAULT} expected, {OF_SYSTEM} found"],
        ),
        (
            _no_certificate,
            [
                f"{BUNDLE} .spec.trustBundle: {OF_DEFAULT} expected, {OF_SYSTEM} found",
                f"configmaps default/kube-root-ca.crt .data[ca.crt]: missing, {OF_DEFAULT} expected",
                f"configmaps kube-system/kube-root-ca.crt .data[ca.crt]: {OF_DEFAULT} expected, {OF_SYSTEM} found",
            ],
        ),
        (_other_range, [f"{RANGE} .spec.cidrs[0]: {SMALLER}"]),
        (_trust_bundle_of_another_cluster, [f"{BUNDLE} .spec.trustBundle: {OF_DEFAULT} expected, {OF_BUNDLE} found"]),
        (
            _trust_bundle_of_another_name,
            [f"{TRUST_BUNDLES} {OTHER_BUNDLE}: extra (written by kube-apiserver)", f"{BUNDLE}: missing"],
        ),
        (_tainted, ['nodes node-2 .spec.taints: extra, [{"effect": "NoSchedule", "key": "a"}] found']),
        (_not_ready, ['nodes node-1 .status.conditions[Ready].status: "True" expected, "False" found']),
        (
            _another_group,
            [
                'discovery /apis .groups[example.org]: extra, {"name": "example.org"} found',
                "discovery /apis/example.org: extra",
            ],
        ),
        (_another_order, ['discovery /apis .groups: order ["apps", "batch"] expected, ["batch", "apps"] found']),
        (_stale, ['discovery /apis (aggregated) .items[apps].versions[v1].freshness: extra, "Stale" found']),
        (
            _another_schema,
            [
                'openapi apis/apps/v1: hash "A1" expected, "A2" found',
                "openapi apis/apps/v1: path /a: other",
                "openapi apis/apps/v1: path /c: extra",
                "openapi apis/apps/v1: schema B: missing",
                "openapi apis/example.org/v1: extra",
            ],
        ),
        (_failing, ["/apis/example.org/v1/widgets: expected to be answered, found 503 ServiceUnavailable"]),
    ],
)
def test_what_differs_is_told(change, lines):
    found = cluster(2)
    change(found)
    assert differences(cluster(1), found) == lines
    assert len(differences(found, cluster(1))) == len(lines)


OF_ANY_CLUSTER = {
    "resourceVersion",
    "creationTimestamp",
    "time",
    "lastHeartbeatTime",
    "lastTransitionTime",
    "serverAddress",
    "podCIDR",
    "address",
    "Port",
}


def test_no_value_can_change_unnoticed_but_for_what_any_cluster_has_its_own():
    assert set(_unnoticed(lambda holder, key: holder.__setitem__(key, "other"))) == OF_ANY_CLUSTER | {"0"}


def test_nothing_can_be_taken_away_unnoticed():
    assert set(_unnoticed(lambda holder, key: holder.__delitem__(key))) == {"resourceVersion", "serverAddress"}


def _unnoticed(change):
    """Keys of values of which `differences` does not tell that they changed."""
    for path in _paths(_plain(cluster(1))):
        changed = _plain(cluster(1))
        *above, key = path
        holder = functools.reduce(lambda value, step: value[step], above, changed)
        change(holder, key)
        if not differences(cluster(1), ApiState(**{**changed, "schemas": cluster(1).schemas})):
            yield str(key)


def _plain(state):
    return {"objects": dict(state.objects), "discovery": dict(state.discovery), "schemas": {}}


def _paths(value, path=()):
    """Where the single values are, but for the range that addresses are read by."""
    if path[-1:] == ("cidrs",):
        return
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if members is None:
        yield path
    for key, member in members or ():
        yield from _paths(member, (*path, key))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ({"b": 1, "a": "ü"}, '{"a": "ü", "b": 1}'),
        ("x" * 98, f'"{"x" * 98}"'),
        ("x" * 200, f'"{"x" * 74} ... {"x" * 19}"'),
    ],
)
def test_values_are_shortened_in_the_middle(value, text):
    assert shortened(value) == text
