"""What holds for every object, however odd. That no input is mutated is checked by `Worlds` at every single look."""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from syncer_worlds import Worlds, pod, run_on_host, tenant
from vcluster_syncer.model import CONFIGMAPS, EVENTS, PODS, SECRETS, SERVICES, Key, Later, Object, Resource
from vcluster_syncer.naming import host_name
from vcluster_syncer.translate import KINDS, labels, pod_spec, services

names = st.from_regex(r"[a-z]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
namespaces = st.sampled_from(["default", "shop", "kube-system"])
tenants = st.sampled_from(["vc-a1", "vc-b2", "vc-a10"])
label_keys = st.sampled_from(
    ["app", "tier", "vcluster-syncer/tenant", "vcluster-syncer/namespace", "example.org/x", "release"]
)
label_values = st.sampled_from(["", "a", "b", "vc-a1", "vc-b2", "default", "shop"])
some_labels = st.dictionaries(label_keys, label_values, max_size=4)
expressions = st.one_of(
    st.fixed_dictionaries(
        {"key": label_keys, "operator": st.sampled_from(["In", "NotIn"]), "values": st.lists(label_values, min_size=1)}
    ),
    st.fixed_dictionaries({"key": label_keys, "operator": st.sampled_from(["Exists", "DoesNotExist"])}),
)
selectors = st.fixed_dictionaries({}, optional={"matchLabels": some_labels, "matchExpressions": st.lists(expressions)})
terms = st.fixed_dictionaries(
    {"topologyKey": st.just("kubernetes.io/hostname")},
    optional={
        "labelSelector": selectors,
        "namespaces": st.lists(namespaces, max_size=2),
        "namespaceSelector": selectors,
        "matchLabelKeys": st.lists(label_keys, max_size=2, unique=True),
    },
)
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
variables = st.fixed_dictionaries(
    {"name": st.sampled_from(["A", "KUBERNETES_SERVICE_HOST", "WEB_PORT"])},
    optional={
        "value": st.text(max_size=3),
        "valueFrom": st.one_of(
            st.fixed_dictionaries({"configMapKeyRef": st.fixed_dictionaries({"key": names}, optional={"name": names})}),
            st.fixed_dictionaries({"secretKeyRef": st.fixed_dictionaries({"name": names, "key": names})}),
            st.fixed_dictionaries(
                {
                    "fieldRef": st.fixed_dictionaries(
                        {
                            "fieldPath": st.sampled_from(
                                [
                                    "metadata.name",
                                    "metadata.uid",
                                    "metadata.labels['app']",
                                    "status.podIP",
                                    "spec.nodeName",
                                ]
                            )
                        }
                    )
                }
            ),
        ),
    },
)
sources = st.lists(
    st.fixed_dictionaries({}, optional={"prefix": names, "configMapRef": st.fixed_dictionaries({"name": names})}),
    max_size=2,
)
containers = st.lists(
    st.fixed_dictionaries(
        {"name": names, "image": names}, optional={"env": st.lists(variables, max_size=3), "envFrom": sources}
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda container: str(container["name"]),
)
volumes = st.lists(
    st.tuples(
        names,
        st.one_of(
            st.fixed_dictionaries({"configMap": st.fixed_dictionaries({"name": names})}),
            st.fixed_dictionaries({"secret": st.fixed_dictionaries({"secretName": names})}),
            st.fixed_dictionaries({"persistentVolumeClaim": st.fixed_dictionaries({"claimName": names})}),
            st.just({"emptyDir": {}}),
            st.just(
                {
                    "projected": {
                        "sources": [
                            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
                            {"configMap": {"name": "kube-root-ca.crt"}},
                            {"downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
                        ]
                    }
                }
            ),
        ),
    ).map(lambda pair: {"name": pair[0], **pair[1]}),
    max_size=3,
    unique_by=lambda volume: str(volume["name"]),
)
specs = st.fixed_dictionaries(
    {"containers": containers, "volumes": volumes},
    optional={
        "affinity": st.fixed_dictionaries(
            {},
            optional={
                field: terms.map(lambda term: {REQUIRED: [term]}) for field in ("podAffinity", "podAntiAffinity")
            },
        ),
        "nodeSelector": some_labels,
        "topologySpreadConstraints": st.lists(terms, max_size=1),
        "tolerations": st.lists(st.fixed_dictionaries({"key": names, "operator": st.just("Exists")}), max_size=2),
        "dnsPolicy": st.sampled_from(["ClusterFirst", "Default", "None", "ClusterFirstWithHostNet"]),
        "dnsConfig": st.fixed_dictionaries({"nameservers": st.just(["9.9.9.9"])}),
        "hostNetwork": st.booleans(),
        "imagePullSecrets": st.lists(st.fixed_dictionaries({"name": names}), max_size=2),
        "schedulingGates": st.lists(st.fixed_dictionaries({"name": names}), max_size=2),
        "serviceAccountName": names,
        "priorityClassName": names,
        "enableServiceLinks": st.booleans(),
    },
)


def selects(selector: Mapping[str, Any] | None, found: Object) -> bool:
    return labels.matches(selector, found["metadata"].get("labels") or {})


def everything_in(worlds: Worlds) -> str:
    return json.dumps([item for (resource, _), item in worlds.here.items() if resource != CONFIGMAPS])


@settings(max_examples=30)
@given(names, namespaces, some_labels, specs)
def test_a_pod_comes_to_rest_and_tells_nothing_of_the_host(
    name: str, namespace: str, its_labels: dict[str, str], spec: dict[str, Any]
) -> None:
    worlds = Worlds()
    node = worlds.node("node-1")
    made = pod(worlds, name, namespace, metadata={"labels": its_labels}, **spec)
    key = Key(namespace, name)
    worlds.settle(PODS, key)
    host = worlds.host(PODS, key)
    assert host is not None
    own = host["metadata"]
    text = f"{own['name']} {own['namespace']} {own['uid']} {node}"
    condition = {"type": "Ready", "status": "False", "message": text}
    run_on_host(worlds, node, name, namespace, message=text, conditions=[condition], nominatedNodeName=node)
    about = {"kind": "Pod", "name": own["name"], "uid": own["uid"]}
    worlds.put_host(EVENTS, f"{own['name']}.1", involvedObject=about, message=text, source={"host": node})
    worlds.settle(PODS, key)
    worlds.settle(EVENTS, Key("", f"{own['name']}.1"))
    assert made["spec"]["nodeName"] == "node-1"
    assert all(isinstance(action, Later) for action in worlds.look(PODS, key)), "a second look finds nothing to do"
    shown = everything_in(worlds)
    assert not [word for word in text.split() if word in shown]


@settings(max_examples=30)
@given(names, namespaces, specs)
def test_a_host_pod_names_only_host_objects(name: str, namespace: str, spec: dict[str, Any]) -> None:
    worlds = Worlds()
    made = pod(worlds, name, namespace, **spec)
    (kind,) = [kind for kind in KINDS if kind.resource == PODS]
    host = pod_spec.to_host(Key(namespace, name), made, worlds)
    carried = {**host, "metadata": {**host["metadata"]}}
    on = worlds.kinds
    wanted = {(resource, host_name("vc-a1", *used)) for resource, used in kind.references(made) if resource in on}
    tokens = (SECRETS, host_name("vc-a1", namespace, name, role="tokens"))
    named = {(resource, used.name) for resource, used in kind.references(carried) if resource in on}
    assert named - {tokens} == wanted


@settings(max_examples=40)
@given(tenants, tenants, namespaces, namespaces, some_labels, st.dictionaries(label_keys, label_values, min_size=1))
def test_a_service_selects_on_the_host_what_it_selects_in_its_cluster(
    mine: str, his: str, here: str, there: str, its_labels: dict[str, str], selector: dict[str, str]
) -> None:
    virtual_pod = {"metadata": {"name": "p", "namespace": there, "uid": "u", "labels": its_labels}}
    owner = Worlds(tenant(his))
    host_pod = pod_spec.to_host(Key(there, "p"), {**virtual_pod, "spec": {"containers": []}}, owner)
    service = {"metadata": {"name": "s", "namespace": here, "uid": "u"}, "spec": {"selector": selector}}
    translated = services.to_host(Key(here, "s"), service, tenant(mine))["spec"]["selector"]
    wanted = mine == his and here == there and selects({"matchLabels": selector}, virtual_pod)
    assert selects({"matchLabels": translated}, host_pod) == wanted


@settings(max_examples=40)
@given(tenants, tenants, namespaces, some_labels, terms)
def test_affinity_looks_on_the_host_at_the_pods_it_looks_at_in_its_cluster(
    mine: str, his: str, there: str, its_labels: dict[str, str], term: dict[str, Any]
) -> None:
    term = {name: value for name, value in term.items() if name not in {"namespaceSelector", "matchLabelKeys"}}
    worlds, owner = Worlds(tenant(mine)), Worlds(tenant(his))
    other = pod(owner, "other", there, metadata={"labels": its_labels})
    made = pod(worlds, "web", "default", affinity={"podAntiAffinity": {REQUIRED: [term]}})
    host = pod_spec.to_host(Key("default", "web"), made, worlds)
    (translated,) = host["spec"]["affinity"]["podAntiAffinity"][REQUIRED]
    in_reach = there in (term.get("namespaces") or ["default"])
    wanted = mine == his and in_reach and selects(term.get("labelSelector"), other)
    assert selects(translated.get("labelSelector"), pod_spec.to_host(Key(there, "other"), other, owner)) == wanted


@settings(max_examples=30)
@given(
    st.sampled_from([CONFIGMAPS, SECRETS]),
    st.dictionaries(names, st.text(max_size=3)),
    st.dictionaries(names, st.text(max_size=3)),
    some_labels,
    some_labels,
)
def test_a_change_of_content_arrives_in_one_step(
    resource: Resource,
    before: dict[str, str],
    after: dict[str, str],
    labels_before: dict[str, str],
    labels_after: dict[str, str],
) -> None:
    worlds, key = Worlds(), Key("default", "c")
    pod(worlds, volumes=[{"name": "v", "configMap": {"name": "c"}}, {"name": "w", "secret": {"secretName": "c"}}])
    item = worlds.put(resource, "default", "c", metadata={"labels": labels_before}, data=before)
    worlds.settle(resource, key)
    item["data"], item["metadata"]["labels"] = after, labels_after
    for action in worlds.look(resource, key):
        worlds.do(action)
    assert list(worlds.look(resource, key)) == []
    host = worlds.host(resource, key)
    assert host is not None
    assert (host.get("data") or {}) == after
    ours = {"vcluster-syncer/tenant": "vc-a1", "vcluster-syncer/namespace": "default"}
    assert host["metadata"]["labels"] == {**labels.to_host(labels_after), **ours}


service_specs = st.fixed_dictionaries(
    {"type": st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"]), "clusterIP": st.just("10.96.4.7")},
    optional={
        "selector": some_labels,
        "ports": st.lists(st.fixed_dictionaries({"port": st.integers(1, 9)}, optional={"nodePort": st.integers(1, 9)})),
        "sessionAffinity": st.sampled_from(["None", "ClientIP"]),
        "sessionAffinityConfig": st.just({"clientIP": {"timeoutSeconds": 9}}),
        "externalTrafficPolicy": st.just("Local"),
        "publishNotReadyAddresses": st.booleans(),
    },
)


@settings(max_examples=30)
@given(st.booleans(), service_specs, service_specs)
def test_a_service_comes_to_rest_after_any_change(
    is_private: bool, before: dict[str, Any], after: dict[str, Any]
) -> None:
    worlds, key = Worlds(tenant(private_nodes=is_private)), Key("default", "web")
    item = worlds.put(SERVICES, "default", "web", spec=before, status={})
    worlds.settle(SERVICES, key)
    item["spec"] = after
    worlds.settle(SERVICES, key)
    assert list(worlds.look(SERVICES, key)) == []


@settings(max_examples=40)
@given(st.sampled_from(KINDS), names, namespaces)
def test_a_kind_that_sees_nothing_does_nothing(kind: Any, name: str, namespace: str) -> None:
    worlds = Worlds()
    assert list(kind.reconcile(Key(namespace, name), None, None, worlds)) == []
