"""Every known hazard of putting a running control plane back in place, by name: none is left afterwards.

Each test does something to the same cluster, has it recycled, and looks at it the way the next test would, at once.
What all of them check is in `pristine`: nothing the API tells differs from what it told when the cluster was fresh.
"""

import socket
import threading
import time

import pytest
from cluster_objects import definition
from recycled_cluster import Place

CORE = "/api/v1/namespaces/default"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
EVERYTHING = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}
MERGE = "application/merge-patch+json"


@pytest.fixture(scope="module")
def place():
    with Place() as place:
        yield place


@pytest.fixture(scope="module")
def cluster(place):
    with place.cluster() as cluster:
        yield cluster


def pristine(cluster):
    assert cluster.recycle() == ""
    assert cluster.differences() == []
    keys = cluster.keys()
    time.sleep(0.5)  # whatever was under way had time to show
    assert cluster.keys() == keys
    assert cluster.differences() == []


def deployment(name, replicas=20):
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "none.invalid/x"}]}}
    return {
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }


def service(name, **spec):
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


def webhooks(name):
    hook = {
        "name": "refuse.example.com",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [EVERYTHING],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    return {"metadata": {"name": name}, "webhooks": [hook]}


def allowed(cluster, user, **attributes):
    body = {"spec": {"user": user, "resourceAttributes": {"verb": "get", "resource": "secrets", **attributes}}}
    return cluster.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)["status"]["allowed"]


def test_controllers_in_flight(cluster):
    cluster.call("POST", "/apis/apps/v1/namespaces/default/deployments", deployment("web"))
    stateful = deployment("db", replicas=5)
    stateful["spec"]["serviceName"] = "db"
    cluster.call("POST", "/apis/apps/v1/namespaces/default/statefulsets", stateful)
    for number in range(5):
        job = {"template": {"spec": {**deployment("j")["spec"]["template"]["spec"], "restartPolicy": "Never"}}}
        job_object = {"metadata": {"name": f"job-{number}"}, "spec": {**job, "parallelism": 3, "completions": 9}}
        cluster.call("POST", "/apis/batch/v1/namespaces/default/jobs", job_object)
    pristine(cluster)
    cluster.call("POST", "/apis/apps/v1/namespaces/default/deployments", deployment("web"))
    deadline = time.monotonic() + 60
    while not cluster.names(f"{CORE}/pods"):
        assert time.monotonic() < deadline  # the thawed controllers work
        time.sleep(0.02)
    pristine(cluster)


def test_namespaces_deleted_and_stuck(cluster):
    for name in ("a", "b", "c"):
        cluster.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    stuck = {"metadata": {"name": "x", "finalizers": ["example.com/never"]}}
    cluster.call("POST", "/api/v1/namespaces/b/configmaps", stuck)
    cluster.call("DELETE", "/api/v1/namespaces/b")
    cluster.call("DELETE", "/api/v1/namespaces/c")
    assert cluster.recycle() == ""
    for name in ("a", "b", "c"):
        assert cluster.status("POST", f"/api/v1/namespaces/{name}/configmaps", {"metadata": {"name": "y"}}) == 404
        cluster.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        cluster.call("POST", f"/api/v1/namespaces/{name}/configmaps", {"metadata": {"name": "y"}})
    pristine(cluster)


def test_objects_that_everybody_needs_are_changed(cluster):
    label = {"metadata": {"labels": {"example.com/mark": "x"}}}
    for path in (
        "/api/v1/namespaces/kube-system",
        f"{CORE}/services/kubernetes",
        f"{CORE}/serviceaccounts/default",
        f"{RBAC}/clusterroles/cluster-admin",
        "/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical",
        "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/catch-all",
        "/api/v1/nodes/node-1",
    ):
        cluster.call("PATCH", path, label, content_type=MERGE)
    cluster.call("PATCH", "/api/v1/nodes/node-2", {"spec": {"unschedulable": True}}, content_type=MERGE)
    cluster.call("PATCH", f"{CORE}/configmaps/kube-root-ca.crt", {"data": {"ca.crt": "x"}}, content_type=MERGE)
    pristine(cluster)


def test_node_ports(cluster):
    for _ in range(2):
        cluster.call("POST", f"{CORE}/services", service("n", type="NodePort", ports=[{"port": 80, "nodePort": 30123}]))
        assert cluster.recycle() == ""
        # Taken in a copy of its own, which the server reads again only when it allocates one.
        again = service("n", type="NodePort", ports=[{"port": 80, "nodePort": 30123}])
        cluster.call("POST", f"{CORE}/services?dryRun=All", again)
        cluster.call("POST", f"{CORE}/services", service("l", type="LoadBalancer"))
        pristine(cluster)


def test_cluster_ips_and_their_repair(cluster):
    kubernetes = cluster.call("GET", f"{CORE}/services/kubernetes")["spec"]["clusterIP"]
    fixed = kubernetes.rpartition(".")[0] + ".77"
    for _ in range(2):
        cluster.call("POST", f"{CORE}/services", service("fixed", clusterIP=fixed))
        for number in range(20):
            cluster.call("POST", f"{CORE}/services", service(f"s{number}"))
        assert cluster.recycle() == ""
    time.sleep(2)  # the repair loop would have made an address anew by now
    assert cluster.names("/apis/networking.k8s.io/v1/ipaddresses") == [kubernetes]
    pristine(cluster)


def test_definitions_of_the_same_name_with_another_schema(cluster):
    for type_, good, bad in (("integer", 5, "five"), ("string", "five", 5)) * 2:
        cluster.call("POST", DEFINITIONS, definition("widgets", properties={"size": {"type": type_}}))
        path = "/apis/example.com/v1/namespaces/default/widgets"
        deadline = time.monotonic() + 60
        while cluster.status("GET", path) != 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
        assert cluster.status("POST", path, {**widget, "spec": {"size": bad}}) == 422
        cluster.call("POST", path, {**widget, "spec": {"size": good}})
        assert cluster.recycle() == ""
        assert cluster.status("GET", path) == 404
        assert cluster.status("GET", "/apis/example.com") == 404
    pristine(cluster)


def test_definition_deleted_by_the_test_while_objects_linger(cluster):
    cluster.call("POST", DEFINITIONS, definition("gadgets"))
    path = "/apis/example.com/v1/namespaces/default/gadgets"
    while cluster.status("GET", path) != 200:
        time.sleep(0.02)
    lingering = {"name": "w", "finalizers": ["example.com/never"]}
    cluster.call("POST", path, {"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": lingering})
    cluster.call("DELETE", f"{DEFINITIONS}/gadgets.example.com")
    pristine(cluster)


def test_api_services(cluster):
    spec = {
        "group": "metrics.example.com",
        "version": "v1",
        "groupPriorityMinimum": 100,
        "versionPriority": 10,
        "insecureSkipTLSVerify": True,
        "service": {"namespace": "default", "name": "nobody"},
    }
    path = "/apis/apiregistration.k8s.io/v1/apiservices"
    cluster.call("POST", path, {"metadata": {"name": "v1.metrics.example.com"}, "spec": spec})
    assert cluster.recycle() == ""
    assert cluster.status("GET", "/apis/metrics.example.com/v1") == 404
    pristine(cluster)


def ask_about_pods(cluster, server):
    """Have a webhook at `server` asked about each new pod, and a controller manager that waits for its answer."""
    url = f"https://127.0.0.1:{server.getsockname()[1]}/"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    changes = {"clientConfig": {"url": url}, "rules": [rule], "failurePolicy": "Ignore", "timeoutSeconds": 30}
    made = webhooks("slow")
    # Where the one that refuses is known to the API server, so is the one that is slow.
    refusing = {**made["webhooks"][0], "rules": [{**rule, "resources": ["configmaps"]}]}
    made["webhooks"] = [refusing, {**refusing, **changes, "name": "slow.example.com"}]
    cluster.call("POST", f"{ADMISSION}/validatingwebhookconfigurations", made)
    deadline = time.monotonic() + 60
    while cluster.status("POST", f"{CORE}/configmaps?dryRun=All", {"metadata": {"name": "x"}}) == 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    server.settimeout(60)
    cluster.call("POST", "/apis/apps/v1/namespaces/default/replicasets", deployment("held-up", replicas=1))
    return server.accept()[0]


def test_a_controller_that_waits_for_a_webhook(place):
    with (
        place.cluster() as cluster,
        socket.create_server(("127.0.0.1", 0)) as server,
        ask_about_pods(cluster, server),
    ):
        assert cluster.recycle() == f"its controller manager waits for an answer: create {CORE}/pods"


def test_a_controller_that_gets_its_answer_when_all_is_put_back(cluster):
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = ask_about_pods(cluster, server)
        threading.Timer(0.7, held.close).start()
        pristine(cluster)


@pytest.mark.parametrize("kind", ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"])
def test_webhooks_that_refuse_everything(cluster, kind):
    for _ in range(5):
        cluster.call("POST", f"{ADMISSION}/{kind}", webhooks("refuse"))
        deadline = time.monotonic() + 60
        while cluster.status("POST", f"{CORE}/configmaps?dryRun=All", {"metadata": {"name": "x"}}) == 200:
            assert time.monotonic() < deadline
        assert cluster.recycle() == ""
        cluster.call("POST", f"{CORE}/configmaps", {"metadata": {"name": "x"}})
    pristine(cluster)


def test_admission_policies_that_refuse_everything(cluster):
    policy = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [{**EVERYTHING, "resources": ["configmaps"]}]},
        "validations": [{"expression": "false"}],
    }
    binding = {"policyName": "refuse", "validationActions": ["Deny"]}
    for _ in range(2):
        cluster.call(
            "POST", f"{ADMISSION}/validatingadmissionpolicies", {"metadata": {"name": "refuse"}, "spec": policy}
        )
        cluster.call(
            "POST", f"{ADMISSION}/validatingadmissionpolicybindings", {"metadata": {"name": "refuse"}, "spec": binding}
        )
        deadline = time.monotonic() + 60
        while cluster.status("POST", f"{CORE}/configmaps?dryRun=All", {"metadata": {"name": "x"}}) == 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert cluster.recycle() == ""
        cluster.call("POST", f"{CORE}/configmaps", {"metadata": {"name": "x"}})
    pristine(cluster)


def test_rights_that_were_granted(cluster):
    for _ in range(5):
        rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
        subject = [{"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}]
        cluster.call("POST", f"{RBAC}/clusterroles", {"metadata": {"name": "r"}, "rules": rules})
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"}
        body = {"metadata": {"name": "r"}, "subjects": subject, "roleRef": ref}
        cluster.call("POST", f"{RBAC}/clusterrolebindings", body)
        role = {**body, "roleRef": {**ref, "kind": "Role"}}
        cluster.call("POST", f"{RBAC}/namespaces/kube-public/roles", {"metadata": {"name": "r"}, "rules": rules})
        cluster.call("POST", f"{RBAC}/namespaces/kube-public/rolebindings", role)
        deadline = time.monotonic() + 60
        while not (allowed(cluster, "eve") and allowed(cluster, "eve", namespace="kube-public")):
            assert time.monotonic() < deadline
        assert cluster.recycle() == ""
        assert not allowed(cluster, "eve")
        assert not allowed(cluster, "eve", namespace="kube-public")
    pristine(cluster)


def test_aggregated_roles(cluster):
    labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    rules = [{"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": ["get"]}]
    cluster.call("POST", f"{RBAC}/clusterroles", {"metadata": {"name": "a", "labels": labels}, "rules": rules})
    deadline = time.monotonic() + 60
    while rules[0] not in cluster.call("GET", f"{RBAC}/clusterroles/view")["rules"]:
        assert time.monotonic() < deadline  # the controller adds the rules to `view`, `edit` and `admin`
        time.sleep(0.02)
    pristine(cluster)


def test_quotas(cluster):
    for _ in range(5):
        quota = {"metadata": {"name": "q"}, "spec": {"hard": {"count/configmaps": "1"}}}
        cluster.call("POST", f"{CORE}/resourcequotas", quota)
        time.sleep(0.1)
        assert cluster.recycle() == ""
        for number in range(3):
            cluster.call("POST", f"{CORE}/configmaps", {"metadata": {"name": f"x{number}"}})
    pristine(cluster)


def test_default_classes(cluster):
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = {"metadata": {"name": "c"}, "spec": spec}
    before = cluster.call("POST", f"{CORE}/persistentvolumeclaims?dryRun=All", claim)["spec"].get("storageClassName")
    for _ in range(3):
        made = {"metadata": {"name": "mine", "annotations": default}, "provisioner": "example.com/x"}
        cluster.call("POST", "/apis/storage.k8s.io/v1/storageclasses", made)
        priority = {"metadata": {"name": "high"}, "value": 7, "globalDefault": True}
        cluster.call("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", priority)
        assert cluster.recycle() == ""
        after = cluster.call("POST", f"{CORE}/persistentvolumeclaims?dryRun=All", claim)["spec"].get("storageClassName")
        assert after == before
        pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "x.invalid/x"}]}}
        assert cluster.call("POST", f"{CORE}/pods?dryRun=All", pod)["spec"].get("priority") == 0
    pristine(cluster)


def test_a_cluster_at_rest_changes_nothing(cluster):
    assert cluster.recycle() == ""
    time.sleep(3)
    assert cluster.recycle_told()["written"] == 0


def test_three_thousand_objects_and_one_near_the_limit(cluster):
    for number in range(3000):
        cluster.call("POST", f"{CORE}/configmaps", {"metadata": {"name": f"c{number}"}})
    cluster.call("POST", f"{CORE}/secrets", {"metadata": {"name": "big"}, "stringData": {"x": "y" * 1_000_000}})
    pristine(cluster)


@pytest.mark.parametrize(
    ("path", "named"),
    [
        (f"{CORE}/serviceaccounts/default", "serviceaccounts/default/default"),
        (f"{RBAC}/clusterroles/view", "clusterroles/view"),
        ("/api/v1/nodes/node-3", "minions/node-3"),
    ],
)
def test_what_is_deleted_of_the_baseline_leads_to_retirement(place, path, named):
    with place.cluster() as own:
        own.call("DELETE", path)
        time.sleep(0.1)
        reason = own.recycle()
        assert "objects of the baseline were deleted" in reason
        assert named in reason


def test_limit_ranges_lead_to_retirement(place):
    with place.cluster() as own:
        # Admission that looked one up remembers it for 30 seconds.
        limit = {"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "1"}}]}
        own.call("POST", f"{CORE}/limitranges", {"metadata": {"name": "l"}, "spec": limit})
        assert "can't be undone in place: limitranges/default/l" in own.recycle()


def test_service_ranges_lead_to_retirement(place):
    with place.cluster() as own:
        body = {"metadata": {"name": "more"}, "spec": {"cidrs": ["10.99.0.0/24"]}}
        own.call("POST", "/apis/networking.k8s.io/v1/servicecidrs", body)
        assert "can't be undone in place: servicecidrs/more" in own.recycle()
