"""Logs, commands and ports of pods through the API server of a virtual cluster, its gateway and the host.

The pods are simulated, so commands are run on this machine, confined; where it has not all the locks for that, these
tests are skipped.
"""

import contextlib
import gc
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from datetime import UTC, datetime, timedelta

import pytest
from cluster_objects import deployment, pod
from kubernetes import client
from kubernetes.stream import portforward, stream
from run_of_pytest import Run
from websocket import WebSocketException

from pytest_vcluster.errors import ApiError, CommandError, KubectlError, NotAvailableOnHost, Timeout

SAID = "Nothing runs in this container: its node is simulated. For real containers use --vcluster-host kind.\n"


@pytest.fixture(scope="module")
def cluster(vcluster_host, vcluster_module):
    """A cluster with a pod `web`, and another with two containers."""
    two = pod("two")
    two["spec"]["containers"] = [{"name": name, "image": "registry.example/none:1"} for name in ("one", "other")]
    vcluster_module.apply([pod("web"), two])
    vcluster_module.wait("pod/web", "Ready")
    vcluster_module.wait("pod/two", "Ready")
    return vcluster_module


@pytest.fixture(scope="module")
def runs_commands(cluster):
    try:
        cluster.exec("web", "true")
    except NotAvailableOnHost as error:
        pytest.skip(str(error))


@pytest.fixture
def leaky_client():
    """The python client leaves sockets to the garbage collector."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def body_of(url):
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


class TestLogs:
    def test_by_kubectl(self, cluster):
        assert cluster.kubectl("logs", "web") == SAID
        assert re.fullmatch(rf"20\S+Z {re.escape(SAID)}", cluster.kubectl("logs", "web", "--timestamps"))
        assert cluster.kubectl("logs", "web", "--tail=0") == ""

    def test_by_the_handle(self, cluster):
        assert cluster.logs("web") == SAID
        assert cluster.logs("pod/two", container="other", tail=1) == SAID
        assert cluster.logs("web", since=datetime.now(UTC) + timedelta(hours=1)) == ""
        assert cluster.logs("web", since=86400) == SAID
        stamp, _, said = cluster.logs("web", timestamps=True).partition(" ")
        assert said == SAID
        assert datetime.fromisoformat(stamp[:26] + "+00:00") < datetime.now(UTC)

    @pytest.mark.usefixtures("leaky_client")
    def test_one_that_is_followed_goes_on_until_its_reader_goes(self, cluster):
        core = client.CoreV1Api(cluster.api_client())
        followed = core.read_namespaced_pod_log("web", "default", follow=True, _preload_content=False)
        assert next(iter(followed.stream(64))) == SAID[:64].encode()
        followed.close()
        followed.release_conn()
        assert cluster.logs("web") == SAID

    def test_refusals_come_in_the_virtual_clusters_words(self, cluster):
        with pytest.raises(ApiError, match='pods "none" not found') as refused:
            cluster.kubectl("get", "pods")
            cluster.api.rest.text("/api/v1/namespaces/default/pods/none/log", query={}, timeout=20)
        assert refused.value.status == 404
        with pytest.raises(ApiError, match="a container name must be specified for pod two, choose one of"):
            cluster.logs("two")
        with pytest.raises(ApiError, match="no-previous-container") as refused:
            cluster.logs("web", previous=True)
        assert cluster.name not in str(refused.value)


@pytest.mark.usefixtures("runs_commands")
class TestCommands:
    def test_by_kubectl(self, cluster):
        assert cluster.kubectl("exec", "web", "--", "echo", "a", "b c", "$d") == "a b c $d\n"
        with pytest.raises(KubectlError, match="exit status 7"):
            cluster.kubectl("exec", "two", "-c", "other", "--", "sh", "-c", "exit 7")

    @pytest.mark.usefixtures("leaky_client")
    def test_by_the_python_client(self, cluster):
        core = client.CoreV1Api(cluster.api_client())
        command = ["sh", "-c", "read line; echo got $line; echo err >&2"]
        opened = stream(
            core.connect_get_namespaced_pod_exec,
            "web",
            "default",
            command=command,
            stdin=True,
            stdout=True,
            stderr=True,
            _preload_content=False,
        )
        with contextlib.closing(opened):
            opened.write_stdin("something\n")
            opened.run_forever(timeout=20)
            assert opened.read_stdout() == "got something\n"
            assert opened.read_stderr() == "err\n"
            assert opened.returncode == 0

    def test_by_the_handle(self, cluster):
        assert cluster.exec("web", "printf", "%s|", "a", "b c", "ü", "") == "a|b c|ü||"
        assert cluster.exec("web", "sh", "-c", "read x; echo $x", input="line\n") == "line\n"
        with pytest.raises(CommandError) as failed:
            cluster.exec("web", "sh", "-c", "echo out; echo err >&2; exit 3")
        assert (failed.value.returncode, failed.value.stdout, failed.value.stderr) == (3, "out\n", "err\n")
        assert cluster.exec("web", "sh", "-c", "echo out; exit 3", check=False) == "out\n"

    def test_of_a_workload_goes_to_one_of_its_pods(self, cluster):
        cluster.apply(deployment("many", replicas=2))
        cluster.wait("deployment/many", "Available")
        assert cluster.exec("deployment/many", "echo", "here") == "here\n"

    def test_much_output_comes_whole(self, cluster):
        printed = cluster.exec("web", "sh", "-c", "seq 1 200000")
        assert printed.splitlines() == [str(number) for number in range(1, 200001)]

    def test_nothing_on_this_machine_can_be_changed(self, cluster, tmp_path):
        (tmp_path / "mine").write_text("untouched")
        for command in (("rm", "-rf", str(tmp_path)), ("touch", "here"), ("chmod", "777", str(tmp_path / "mine"))):
            with pytest.raises(CommandError, match="denied|not permitted"):
                cluster.exec("web", *command)
        assert (tmp_path / "mine").read_text() == "untouched"

    def test_one_that_never_ends_ends_with_its_deadline(self, cluster):
        with pytest.raises(Timeout, match=r"sleep 60(?s:.*)begun"):
            cluster.exec("web", "sh", "-c", "echo begun; exec sleep 60", timeout=5)

    def test_whoever_may_not_may_not(self, cluster):
        alice = cluster.add_user("alice")
        with pytest.raises(KubectlError, match='cannot get resource "pods"|cannot create resource "pods/exec"'):
            cluster.kubectl("--kubeconfig", alice, "exec", "web", "--", "true")


class TestPorts:
    def test_by_the_handle_answer_at_once(self, cluster):
        with cluster.port_forward("web", 80) as port:
            assert body_of(f"http://127.0.0.1:{port}/") == (503, SAID)
            assert body_of(f"http://127.0.0.1:{port}/again") == (503, SAID)
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()

    def test_of_a_service_are_the_services(self, cluster):
        spec = {"selector": {"app": "served"}, "ports": [{"name": "web", "port": 8000, "targetPort": 80}]}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "served"}, "spec": spec}
        cluster.apply([deployment("served"), service])
        for port in (8000, "web"):
            with cluster.port_forward("service/served", port) as local:
                assert body_of(f"http://127.0.0.1:{local}/")[0] == 503
        with pytest.raises(ValueError, match="Service served has no port 81; it has: 8000"):
            cluster.port_forward("service/served", 81).__enter__()

    def test_by_kubectl(self, cluster):
        binary = cluster._kubectl.args[0]
        command = [binary, "--kubeconfig", cluster.kubeconfig, "port-forward", "pod/web", ":80"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forwarding:
            try:
                port = re.match(r"Forwarding from 127.0.0.1:(\d+) -> 80", forwarding.stdout.readline())[1]
                assert body_of(f"http://127.0.0.1:{port}/") == (503, SAID)
            finally:
                forwarding.kill()

    @pytest.mark.usefixtures("leaky_client")
    def test_by_the_python_client(self, cluster):
        core = client.CoreV1Api(cluster.api_client())
        forward = portforward(core.connect_get_namespaced_pod_portforward, "web", "default", ports="80")
        with contextlib.closing(forward.socket(80)) as connection:
            connection.settimeout(20)
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            answer = b""
            while not answer.endswith(SAID.encode()):
                answer += connection.recv(4096) or pytest.fail(f"it ended with {answer!r}")
            assert answer.startswith(b"HTTP/1.1 503")


@pytest.mark.usefixtures("runs_commands", "leaky_client")
def test_what_a_lease_left_open_ends_with_it(vcluster_factory):
    """An old client's command must not go on talking in a cluster that is somebody else's."""
    with vcluster_factory() as first:
        first.apply(pod("web"))
        first.wait("pod/web", "Ready")
        core = client.CoreV1Api(first.api_client())
        command = ["sh", "-c", "echo begun; while sleep 0.1; do echo more || exit; done"]
        opened = stream(
            core.connect_get_namespaced_pod_exec, "web", "default", command=command, stdout=True, _preload_content=False
        )
        assert opened.readline_stdout(timeout=20) == "begun"
    deadline = time.monotonic() + 30
    with pytest.raises((WebSocketException, OSError)):
        while time.monotonic() < deadline:
            opened.update(timeout=1)
    opened.sock.shutdown()
    with vcluster_factory() as second:
        second.apply(pod("web"))
        second.wait("pod/web", "Ready")
        assert second.exec("web", "echo", "mine") == "mine\n"


BACKGROUND = """
    def test_it(vcluster_host, vcluster):
        containers = [{"name": "main", "image": "registry.example/none:1"}]
        metadata, spec = {"name": "web"}, {"containers": containers}
        vcluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        vcluster.exec("web", "sh", "-c", "sleep 600 </dev/null >/dev/null 2>&1 &")
        vcluster.exec("web", "sh", "-c", "setsid sleep 601 </dev/null >/dev/null 2>&1 &")
        (__import__("pathlib").Path(__import__("os").environ["SIGNS"]) / "holding-1-0").touch()
        __import__("time").sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.usefixtures("runs_commands")
def test_commands_that_went_on_end_with_the_run_however_it_ends():
    run = Run(suite=BACKGROUND, workers=0)
    try:
        deadline = time.monotonic() + 150
        while not list(run.signs.iterdir()):
            assert run.process.poll() is None, run.text()
            assert time.monotonic() < deadline, run.text()
            time.sleep(0.02)
        while "sleep 600 " not in run.pids().values():
            assert time.monotonic() < deadline, run.pids()
            time.sleep(0.02)
        run.process.kill()
        run.process.wait(timeout=20)
        run.assert_nothing_left(within=30)
    finally:
        run.close()


@pytest.mark.versions
@pytest.mark.parametrize("version", ["1.35", "1.37"])
def test_other_versions_ask_as_well(vcluster_factory, version):
    with vcluster_factory(version=version) as cluster:
        cluster.apply(pod("web"))
        cluster.wait("pod/web", "Ready")
        assert cluster.kubectl("logs", "web") == SAID
        assert cluster.logs("web") == SAID
        with contextlib.suppress(NotAvailableOnHost):
            assert cluster.exec("web", "echo", "hi") == "hi\n"
            assert cluster.kubectl("exec", "web", "--", "echo", "hi") == "hi\n"
        with cluster.port_forward("web", 80) as port:
            assert body_of(f"http://127.0.0.1:{port}/") == (503, SAID)
