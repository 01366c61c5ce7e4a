"""The user's kubeconfig, KUBECONFIG and current context are neither read nor changed."""

import os
import subprocess
import sys
import textwrap

import pytest

from pytest_vcluster.toolchain.model import cache_folder

SUITE = """
    import os

    def test_works(vcluster):
        before = os.environ["KUBECONFIG"]
        vcluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}})
        vcluster.kubectl("get", "namespaces")
        vcluster.api_client()
        with vcluster.use():
            assert os.environ["KUBECONFIG"] == str(vcluster.kubeconfig)
        assert os.environ["KUBECONFIG"] == before
"""


@pytest.mark.timeout(120)
def test_a_users_kubeconfig_is_left_alone(tmp_path):
    home = tmp_path / "home"
    (home / ".kube").mkdir(parents=True)
    # Whoever opens a pipe that nobody writes to waits for ever: reading either would hang the run.
    named, default = home / "named", home / ".kube" / "config"
    for path in (named, default):
        os.mkfifo(path)
    (tmp_path / "test_suite.py").write_text(textwrap.dedent(SUITE))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    cache = str(cache_folder(os.environ))
    environment = {**os.environ, "HOME": str(home), "KUBECONFIG": str(named), "PYTEST_VCLUSTER_CACHE": cache}
    before = [path.stat() for path in (named, default)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert "1 passed" in done.stdout, done.stdout[-4000:]
    assert [(s.st_mtime_ns, s.st_ino) for s in before] == [
        (p.stat().st_mtime_ns, p.stat().st_ino) for p in (named, default)
    ]
    assert sorted(path.name for path in (home / ".kube").iterdir()) == ["config"]
