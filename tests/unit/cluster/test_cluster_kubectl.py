import os
import textwrap
import time

import pytest

from pytest_vcluster.cluster.kubectl import environment, run
from pytest_vcluster.errors import ComponentDied, KubectlError, Timeout


@pytest.fixture
def kubectl(tmp_path):
    path = tmp_path / "kubectl"

    def make(script):
        path.write_text(f"#!/bin/sh\n{textwrap.dedent(script)}")
        path.chmod(0o755)

        def call(*arguments, input=None, check=True, timeout=60, look=lambda: None):  # noqa: A002 - as in kubectl.run
            return run(
                path,
                arguments,
                kubeconfig=tmp_path / "config",
                home=tmp_path / "home",
                input=input,
                check=check,
                timeout=timeout,
                look=look,
            )

        return call

    return make


def test_it_returns_what_is_printed(kubectl):
    assert kubectl('echo "$@"')("get", "pods", "-n", "x y") == "get pods -n x y\n"


def test_input_is_standard_input_and_without_it_there_is_none(kubectl):
    assert kubectl("cat")(input="hello") == "hello"
    assert kubectl("cat")() == ""


def test_a_failure_has_everything_that_was_said(kubectl):
    call = kubectl("echo out; echo because >&2; exit 3")
    with pytest.raises(KubectlError, match="kubectl get x ended with 3:\nbecause") as caught:
        call("get", "x")
    assert (caught.value.returncode, caught.value.stdout, caught.value.stderr) == (3, "out\n", "because\n")
    assert call("get", "x", check=False) == "out\n"


def test_a_deadline_ends_it_and_tells_what_it_said(kubectl):
    with pytest.raises(Timeout, match="kubectl get -w: not within .*\nLast seen: so far"):
        kubectl("echo so far; exec sleep 30")("get", "-w", timeout=2.0)


def test_a_death_ends_it_before_its_time(kubectl):
    def look():
        raise ComponentDied("kube-apiserver", status="killed by signal 9")

    began = time.monotonic()
    with pytest.raises(ComponentDied):
        kubectl("exec sleep 30")("get", look=look)
    assert time.monotonic() - began < 10


def test_input_is_sent_once_however_long_it_takes(kubectl):
    assert kubectl("sleep 1.2; cat")(input="x" * 100_000) == "x" * 100_000


def test_it_sees_nothing_of_the_users(tmp_path):
    environ = {"PATH": "/bin", "HOME": "/home/me", "KUBECONFIG": "/mine", "HTTPS_PROXY": "http://p", "LANG": "C"}
    seen = environment(tmp_path / "config", tmp_path / "home", environ=environ)
    assert seen["KUBECONFIG"] == str(tmp_path / "config")
    assert not [value for value in seen.values() if value in ("/home/me", "/mine", "http://p")]
    assert seen["KUBECACHEDIR"].startswith(str(tmp_path / "home"))
    assert seen["PATH"] == "/bin"


def test_the_processs_own_environment_is_not_touched(kubectl):
    before = dict(os.environ)
    assert kubectl("echo $KUBECONFIG")().strip().endswith("/config")
    assert dict(os.environ) == before
