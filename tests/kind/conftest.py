from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from kind_lives import Life, docker, remove
from teams import NAMESPACE, rules, run_pytest

from pytest_vcluster.cluster import kubectl
from pytest_vcluster.settings import Settings


@pytest.fixture(scope="session")
def settings() -> Settings:
    """A kind host as this machine needs it: its options are in the environment, as any user's may be."""
    docker("info")
    file = os.environ.get("PYTEST_VCLUSTER_KIND_CONFIG")
    return Settings(
        host="kind",
        kind_image=os.environ.get("PYTEST_VCLUSTER_KIND_IMAGE") or None,
        kind_config=Path(file).absolute() if file else None,
    )


@pytest.fixture(scope="module")
def host_kubectl(vcluster_host, tmp_path_factory):
    """Runs kubectl as the administrator of the host."""
    binary = kubectl.find(vcluster_host.version, offline=False, environ={})
    home = tmp_path_factory.mktemp("kubectl")

    def run(*arguments: str, text: str | None = None, timeout: float = 60) -> str:
        return kubectl.run(
            binary,
            list(arguments),
            kubeconfig=vcluster_host.kubeconfig,
            home=home,
            look=lambda: None,
            input=text,
            check=True,
            timeout=timeout,
        )

    return run


@pytest.fixture
def run_suite(vcluster_host, host_kubectl, tmp_path):
    """Runs a suite on this run's host as one that is there already, in a namespace of its own; all tests must pass."""

    def run(suite: str, *options: str, namespace: str, passed: int) -> None:
        config = yaml.safe_load(vcluster_host.kubeconfig.read_text())
        named = {"cluster": config["clusters"][0]["name"], "user": config["users"][0]["name"], "namespace": namespace}
        config["contexts"] = [{"name": "team", "context": named}]
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(config))
        (tmp_path / "test_suite.py").write_text(suite)
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        host_kubectl("create", "namespace", namespace)
        try:
            done = run_pytest(kubeconfig, tmp_path, *options)
        finally:
            host_kubectl("delete", "namespace", namespace, "--wait=false")
        assert f"{passed} passed" in done.stdout, done.stdout + done.stderr
        assert done.returncode == 0, done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def team(host_kubectl, vcluster_session, vcluster_host, tmp_path_factory):
    """A kubeconfig for whoever has just the rights that are needed, in one namespace."""
    assert vcluster_session.get("nodes")  # so the nodes have the images
    metadata = {"name": "ci", "namespace": NAMESPACE}
    made = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": rules()},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "ci"},
            "subjects": [{"kind": "ServiceAccount", **metadata}],
        },
    ]
    host_kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": made}))
    token = host_kubectl("create", "token", "ci", "--namespace", NAMESPACE, "--duration", "2h").strip()
    config = yaml.safe_load(vcluster_host.kubeconfig.read_text())
    config["users"] = [{"name": "ci", "user": {"token": token}}]
    context = {"cluster": config["clusters"][0]["name"], "user": "ci", "namespace": NAMESPACE}
    config["contexts"] = [
        {"name": "team", "context": context},
        {"name": "elsewhere", "context": {**context, "namespace": "default"}},
    ]
    config["current-context"] = "elsewhere"  # the ambient one is never used
    path = tmp_path_factory.mktemp("team") / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder with a short path: sockets are made below it."""
    folder = Path(tempfile.mkdtemp(prefix="k", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def live(temporary: Path) -> Iterator[Callable[..., Life]]:
    """Starts runs that have a kind cluster; whatever a failed test leaves of them is removed."""
    lives: list[Life] = []

    def begin(settings: Settings, *, images: str = "") -> Life:
        lives.append(Life(temporary, settings, images=images))
        return lives[-1]

    yield begin
    for life in lives:
        life.close()
    for life in lives:
        remove(life.cluster)
