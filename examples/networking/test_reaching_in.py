"""The ways into a pod: commands, logs, ports."""

import urllib.request

import pytest

from pytest_vcluster import CommandError

pytestmark = pytest.mark.vcluster(containers=True, manifests="manifests/")


def test_a_command_has_an_input_an_output_and_an_end(vcluster):
    assert vcluster.exec("client", "cat", input="hello") == "hello"
    assert vcluster.exec("client", "hostname") == "client\n"

    with pytest.raises(CommandError) as failed:
        vcluster.exec("client", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (failed.value.returncode, failed.value.stdout, failed.value.stderr) == (7, "out\n", "err\n")


def test_kubectl_does_the_same(vcluster):
    vcluster.wait("pod/client", "Ready")

    assert vcluster.kubectl("exec", "-i", "client", "--", "cat", input="hello") == "hello"
    vcluster.kubectl("exec", "client", "--", "sh", "-c", "echo 1 > /tmp/file")
    assert vcluster.kubectl("exec", "client", "--", "cat", "/tmp/file") == "1\n"


def test_logs_are_what_the_container_printed(vcluster):
    vcluster.kubectl("run", "counter", "--image=busybox:1.37", "--restart=Never", "--", "seq", "3")
    vcluster.wait("pod/counter", "jsonpath={.status.phase}=Succeeded")

    assert vcluster.logs("counter") == "1\n2\n3\n"
    assert vcluster.logs("counter", tail=1) == "3\n"
    assert vcluster.kubectl("logs", "counter") == "1\n2\n3\n"


def test_a_port_of_a_pod_or_service_comes_to_this_machine(vcluster):
    vcluster.wait("deployment/web", "Available")
    for ref, port in (("deployment/web", 8080), ("service/web", "http")):
        with (
            vcluster.port_forward(ref, port) as local,
            urllib.request.urlopen(f"http://127.0.0.1:{local}/echo?msg={port}", timeout=30) as answer,
        ):
            assert answer.read().decode() == str(port)
