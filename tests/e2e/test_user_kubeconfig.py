"""The user's kubeconfig, KUBECONFIG and current context are neither read nor changed."""

import os
import subprocess
import sys
import textwrap

import pytest

from pytest_vcluster.toolchain.model import cache_folder

SUITE = """
    import os

    import kubernetes

    def test_works(vcluster):
        before = os.environ["KUBECONFIG"]
        vcluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}})
        vcluster.kubectl("get", "namespaces")
        assert vcluster.kubectl("config", "current-context").strip() == vcluster.context
        kubernetes.client.CoreV1Api(vcluster.api_client()).list_namespace()
        vcluster.kubectl("get", "nodes", "--kubeconfig", vcluster.add_user("somebody"), check=False)
        with vcluster.use():
            assert os.environ["KUBECONFIG"] == str(vcluster.kubeconfig)
        assert os.environ["KUBECONFIG"] == before
"""


KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: production
contexts: [{name: production, context: {cluster: production, user: me}}]
clusters: [{name: production, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: me, user: {token: secret}}]
"""


def run(tmp_path, home, named):
    (tmp_path / "test_suite.py").write_text(textwrap.dedent(SUITE))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    cache = str(cache_folder(os.environ))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(home), "KUBECONFIG": str(named), "PYTEST_VCLUSTER_CACHE": cache},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert "1 passed" in done.stdout, done.stdout[-4000:]


def traces(*paths):
    return [(stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns) for stat in (path.stat() for path in paths)]


@pytest.mark.timeout(120)
def test_a_users_kubeconfig_is_not_read(tmp_path):
    home = tmp_path / "home"
    (home / ".kube").mkdir(parents=True)
    # Whoever opens a pipe that nobody writes to waits for ever: reading either would hang the run.
    named, default = home / "named", home / ".kube" / "config"
    for path in (named, default):
        os.mkfifo(path)
    before = traces(named, default)

    run(tmp_path, home, named)

    assert traces(named, default) == before
    assert sorted(path.name for path in (home / ".kube").iterdir()) == ["config"]


@pytest.mark.timeout(120)
def test_a_users_kubeconfig_and_current_context_are_not_changed(tmp_path):
    home = tmp_path / "home"
    (home / ".kube").mkdir(parents=True)
    named, default = home / "named", home / ".kube" / "config"
    for path in (named, default):
        path.write_text(KUBECONFIG)
    before = traces(named, default)

    run(tmp_path, home, named)

    assert traces(named, default) == before
    assert [path.read_text() for path in (named, default)] == [KUBECONFIG, KUBECONFIG]
    assert sorted(path.name for path in (home / ".kube").iterdir()) == ["config"]
