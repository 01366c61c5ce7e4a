"""A suite whose tests try to see their neighbours, four at a time, and can not."""

import os
import subprocess
import sys
import textwrap

import pytest

SUITE = """
    import json, os, pathlib, time
    import kubernetes, pytest
    from pytest_vcluster import ApiError

    SHARED = pathlib.Path(os.environ["SHARED"])
    TESTS = 4

    def crd(text):
        kind = {"type": text}
        return {
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "things.example.org"},
            "spec": {
                "group": "example.org", "scope": "Cluster",
                "names": {"kind": "Thing", "plural": "things", "singular": "thing"},
                "versions": [{
                    "name": "v1", "served": True, "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                        "spec": {"type": "object", "properties": {"value": kind}}}}},
                }],
            },
        }

    def holding(token, url):
        configuration = kubernetes.client.Configuration()
        configuration.host = url
        configuration.verify_ssl = False
        configuration.api_key = {"authorization": "Bearer " + token}
        return kubernetes.client.ApiClient(configuration)

    def status(client):
        try:
            kubernetes.client.CoreV1Api(client).list_namespace()
        except kubernetes.client.ApiException as error:
            return error.status
        return 200

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("number", range(TESTS))
    def test_alone(vcluster, number, tmp_path):
        # the same names in every test
        (text, value), (_, wrong) = (("string", "a"), ("integer", 7))[:: 1 if number % 2 else -1]
        thing = {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "mine"}}
        vcluster.apply(crd(text))
        vcluster.apply({**thing, "spec": {"value": value}})
        vcluster.apply([
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "all"},
             "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "all"},
             "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "all"},
             "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}]},
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
             "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
                      "template": {"metadata": {"labels": {"app": "web"}},
                                   "spec": {"containers": [{"name": "c", "image": "web:1"}]}}}},
        ])
        vcluster.wait("deployment/web", "condition=Available")

        # leave credentials for the neighbours, and wait for theirs
        token = vcluster.kubectl("create", "token", "default").strip()
        kubeconfig = vcluster.kubeconfig_dict
        note = {"url": vcluster.url, "token": token, "kubeconfig": kubeconfig}
        partial = SHARED / f"{number}.partial"
        partial.write_text(json.dumps(note))
        partial.rename(SHARED / f"{number}.json")
        deadline = time.monotonic() + 90
        while len(list(SHARED.glob("*.json"))) < TESTS:
            assert time.monotonic() < deadline
            time.sleep(0.05)

        # neither a token nor a certificate of theirs opens my cluster, though each opens its own
        assert status(holding(token, vcluster.url)) == 200
        for other in range(TESTS):
            if other == number:
                continue
            theirs = json.loads((SHARED / f"{other}.json").read_text())
            assert theirs["url"] != vcluster.url
            assert status(holding(theirs["token"], vcluster.url)) == 401
            intruder = dict(theirs["kubeconfig"])
            intruder["clusters"] = [{"name": entry["name"], "cluster": {**entry["cluster"], "server": vcluster.url}}
                                    for entry in intruder["clusters"]]
            for entry in intruder["clusters"]:
                entry["cluster"].pop("certificate-authority-data")
                entry["cluster"]["insecure-skip-tls-verify"] = True
            assert status(kubernetes.config.new_client_from_config_dict(intruder)) == 401

        # while all four are busy, I see what is mine and nothing else
        assert [found["spec"]["value"] for found in vcluster.get("things")] == [value]
        with pytest.raises(ApiError, match="expected " + {"string": "string", "integer": "numeric"}[text]):
            vcluster.apply({**thing, "spec": {"value": wrong}})
        assert {found["metadata"]["name"] for found in vcluster.get("namespaces")} == {
            "default", "kube-node-lease", "kube-public", "kube-system", "team"}
        assert len(vcluster.get("pods", namespace="*")) == 2
        on_nodes = [vcluster.kubectl("get", "pods", "-A", "-o", "name", "--field-selector", "spec.nodeName=" + node)
                    for node in ("node-1", "node-2", "node-3")]
        assert len("".join(on_nodes).split()) == 2
        assert {pod["metadata"]["namespace"] for pod in vcluster.get("pods", namespace="*")} == {"default"}
        assert sorted(node["metadata"]["name"] for node in vcluster.get("nodes")) == ["node-1", "node-2", "node-3"]
        assert {event["involvedObject"]["namespace"] for event in vcluster.events()} <= {"default", "team", ""}
        named = [event["involvedObject"]["name"] for event in vcluster.events() if event["reason"] == "Scheduled"]
        assert len(set(named)) == 2
        seen = [vcluster.get(kind, namespace="*") for kind in ("pods", "events", "nodes", "services", "configmaps")]
        assert "vc-" not in json.dumps(seen)
        (SHARED / f"{number}.done").touch()
        while len(list(SHARED.glob("*.done"))) < TESTS:
            assert time.monotonic() < deadline
            time.sleep(0.05)
"""


@pytest.mark.timeout(400)
def test_neighbours_can_not_be_seen(tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "test_suite.py").write_text(textwrap.dedent(SUITE))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    environment = {**os.environ, "SHARED": str(tmp_path / "shared")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "4"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=380,
    )
    assert "4 passed" in done.stdout, done.stdout[-6000:]
