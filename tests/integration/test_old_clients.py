"""Clients of every kind that outlive their lease get errors, never the next test's cluster."""

import sys

import pytest
from run_of_pytest import Run

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.timeout(600),  # whole runs of pytest, each with a host of its own
]

SUITE = """
    import contextlib, json, os, ssl, subprocess, threading, time, urllib.error, urllib.request
    import kr8s
    import kubernetes
    import pytest
    import urllib3

    old = {}

    def get(url, token, ca):
        request = urllib.request.Request(f"{url}/api/v1/namespaces", headers={"Authorization": f"Bearer {token}"})
        context = ssl.create_default_context(cadata=ca)
        return urllib.request.urlopen(request, context=context, timeout=5).status

    def test_first(vcluster, tmp_path_factory):
        kept = tmp_path_factory.mktemp("kept")
        old["name"], old["url"] = vcluster.name, vcluster.url
        configuration = vcluster.kubeconfig_dict
        import base64
        cluster = configuration["clusters"][0]["cluster"]
        old["ca"] = base64.b64decode(cluster["certificate-authority-data"]).decode()
        kubeconfig = kept / "admin"
        kubeconfig.write_text(json.dumps(configuration))
        user = kept / "user"
        user.write_text(vcluster.add_user("eve", groups=["system:masters"]).read_text())
        old["kubeconfigs"] = [kubeconfig, user]

        # Connections that stay alive, of the official client and of kr8s.
        old["official"] = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config(str(kubeconfig)))
        old["official"].list_namespace()
        old["kr8s"] = kr8s.api(kubeconfig=str(kubeconfig))
        assert list(kr8s.get("namespaces", api=old["kr8s"]))

        # Tokens: of a Secret, and requested.
        secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
                  "metadata": {"name": "t", "annotations": {"kubernetes.io/service-account.name": "default"}}}
        vcluster.apply(secret)
        grant = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                 "metadata": {"name": "all"},
                 "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
                 "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}]}
        vcluster.apply(grant)
        data = vcluster.wait("secret/t", "jsonpath={.data.token}")["data"]
        requested = vcluster.kubectl("create", "token", "default").strip()
        old["tokens"] = [base64.b64decode(data["token"]).decode(), requested]
        for token in old["tokens"]:
            deadline = time.monotonic() + 60
            while True:
                try:
                    assert get(vcluster.url, token, old["ca"]) == 200
                except urllib.error.HTTPError as error:  # what was granted holds a moment later
                    assert error.code == 403 and time.monotonic() < deadline
                else:
                    break

        # A watch by HTTP/1.1 in a thread, and one by HTTP/2 in a process (kubectl is a Go client).
        old["ended"] = threading.Event()
        def watching():
            with contextlib.suppress(Exception):
                for _ in kubernetes.watch.Watch().stream(old["official"].list_config_map_for_all_namespaces):
                    pass
            old["ended"].set()
        threading.Thread(target=watching, daemon=True).start()

        # A controller that hammers.
        old["written"], old["failed"] = [], []
        def hammering():
            n = 0
            while n < 100000 and len(old["failed"]) < 20:
                n += 1
                try:
                    old["official"].create_namespaced_config_map("default", {"metadata": {"name": f"h{n}"}})
                    old["written"].append(n)
                except Exception as error:
                    old["failed"].append(error)
        old["hammer"] = threading.Thread(target=hammering, daemon=True)
        old["hammer"].start()
        from pytest_vcluster.cluster import kubectl
        binary = kubectl.find(vcluster.version, offline=True, environ=os.environ)
        old["kubectl"] = subprocess.Popen(
            [binary, "--kubeconfig", str(kubeconfig), "get", "configmaps", "--all-namespaces", "--watch"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        while len(old["written"]) < 20:
            time.sleep(0.01)

    def test_second(vcluster):
        assert vcluster.name == old["name"]  # the very cluster, recycled
        assert vcluster.url != old["url"]
        assert old["ended"].wait(60)
        assert old["kubectl"].wait(60) is not None  # a broken watch is the end of it
        old["hammer"].join(60)
        assert not old["hammer"].is_alive()
        assert [item["metadata"]["name"] for item in vcluster.get("ConfigMap")] == ["kube-root-ca.crt"]
        with pytest.raises(urllib3.exceptions.HTTPError):
            old["official"].list_namespace()
        with pytest.raises(Exception) as raised:
            list(kr8s.get("namespaces", api=old["kr8s"]))
        assert "onnect" in str(raised.getrepr())
        for kubeconfig in old["kubeconfigs"]:
            with pytest.raises(Exception):
                kubernetes.client.CoreV1Api(
                    kubernetes.config.new_client_from_config(str(kubeconfig))
                ).list_namespace(_request_timeout=3)
        for token in old["tokens"]:
            with pytest.raises(urllib.error.URLError) as raised:
                get(old["url"], token, old["ca"])
            assert isinstance(raised.value.reason, ConnectionRefusedError)

    def test_third(vcluster):
        assert [item["metadata"]["name"] for item in vcluster.get("ConfigMap")] == ["kube-root-ca.crt"]
"""

KOPF = """
    import os, pathlib, subprocess, sys, textwrap, time

    OPERATOR = textwrap.dedent('''
        import os, kopf

        @kopf.on.event("", "v1", "configmaps")
        def noticed(name, **_):
            with open(os.environ["SEEN"], "a") as file:
                print(name, file=file)
    ''')
    running = []

    def test_first(vcluster, tmp_path_factory):
        folder = tmp_path_factory.mktemp("operator")
        (folder / "noticing.py").write_text(OPERATOR)
        (folder / "kubeconfig").write_text(vcluster.kubeconfig.read_text())
        seen = folder / "seen"
        environment = {**os.environ, "KUBECONFIG": str(folder / "kubeconfig"), "SEEN": str(seen)}
        command = [sys.executable, "-m", "kopf", "run", "--standalone", "--all-namespaces", "noticing.py"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        running.append((process, seen, folder))
        there = len(vcluster.get("ConfigMap", namespace="*"))
        deadline = time.monotonic() + 90
        while not (seen.exists() and len(seen.read_text().split()) >= there):
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)

    def test_second(vcluster):
        process, seen, folder = running[0]
        before = seen.read_text()
        vcluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "of-the-second-test"}})
        try:
            deadline = time.monotonic() + 60
            while "onnect" not in (folder / "log").read_text():  # it notices that it lost its cluster
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.05)
            time.sleep(3)
            assert seen.read_text() == before
        finally:
            process.kill()
            process.wait()
"""


@pytest.mark.parametrize(("suite", "passed"), [(SUITE, 3), (KOPF, 2)], ids=["clients", "kopf"])
def test_old_clients_never_reach_the_next_test(suite, passed):
    run = Run("-p", "no:xdist", "--vcluster-pool", "1", "--vcluster-isolation", "verify", suite=suite, workers=0)
    try:
        text = run.finish()
        assert f"{passed} passed" in text, text
    finally:
        run.close()
