"""What simulated containers answer, as files for kwok and as a program for ports."""

import stat
import subprocess
import sys

import pytest
import yaml

from pytest_vcluster.controlplane import simulated_containers
from pytest_vcluster.controlplane.simulated_containers import NOTHING_RUNS


@pytest.fixture
def containers(tmp_path):
    return simulated_containers.furnish(tmp_path / "simulated")


def rules(path):
    return {rule["kind"]: rule["spec"] for rule in yaml.safe_load_all(path.read_text())}


def test_every_rule_is_for_pods_of_the_secret_namespace(containers):
    for path in (containers.config, containers.commands):
        for spec in rules(path).values():
            assert spec["selector"] == {"matchNamespaces": [containers.namespace]}
    assert len(containers.namespace) == 32


def test_no_two_runs_have_the_same_secret_and_only_the_user_can_read_it(containers, tmp_path):
    assert simulated_containers.furnish(tmp_path / "other").namespace != containers.namespace
    assert stat.S_IMODE(containers.config.parent.stat().st_mode) == 0o700


def test_commands_are_apart_from_all_else(containers):
    assert set(rules(containers.config)) == {"ClusterLogs", "ClusterAttach", "ClusterPortForward"}
    assert rules(containers.commands)["ClusterExec"]["execs"] == [{"local": {"workDir": str(containers.folder)}}]
    assert not list(containers.folder.iterdir())


def test_a_port_answers_whoever_speaks_first(containers):
    (forward,) = rules(containers.config)["ClusterPortForward"]["forwards"]
    answer = subprocess.run(
        forward["command"], input=b"GET / HTTP/1.1\r\n\r\n", capture_output=True, check=True, timeout=30
    ).stdout.decode()
    assert answer.startswith("HTTP/1.1 503 Service Unavailable\r\n")
    assert answer.endswith(f"\r\n\r\n{NOTHING_RUNS}\n")


def test_a_port_that_nobody_speaks_to_says_nothing(containers):
    (forward,) = rules(containers.config)["ClusterPortForward"]["forwards"]
    seen = subprocess.run(forward["command"], stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=30)
    assert seen.stdout == b""
    assert forward["command"][0] == sys.executable
