import os
import sys
from types import ModuleType

import pytest

from pytest_vcluster.cluster.ambient import pointed_at


@pytest.fixture
def nothing_set(monkeypatch):
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)


def test_the_variable_points_here_and_is_gone_afterwards(nothing_set, tmp_path):
    with pointed_at(tmp_path / "a") as path:
        assert path == tmp_path / "a"
        assert os.environ["KUBECONFIG"] == str(path)
    assert "KUBECONFIG" not in os.environ


def test_what_was_set_before_comes_back_even_after_an_error(nothing_set, tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "/mine")
    with pytest.raises(ZeroDivisionError), pointed_at(tmp_path / "a"):
        raise ZeroDivisionError
    assert os.environ["KUBECONFIG"] == "/mine"


def test_one_cluster_within_another(nothing_set, tmp_path):
    with pointed_at(tmp_path / "a"):
        with pointed_at(tmp_path / "b"):
            assert os.environ["KUBECONFIG"] == str(tmp_path / "b")
        assert os.environ["KUBECONFIG"] == str(tmp_path / "a")


def test_the_cluster_that_this_machine_is_a_pod_of_is_out_of_sight(nothing_set, tmp_path, monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pointed_at(tmp_path / "a"):
        assert "KUBERNETES_SERVICE_HOST" not in os.environ
    assert os.environ["KUBERNETES_SERVICE_HOST"] == "10.0.0.1"
    assert "KUBERNETES_SERVICE_PORT" not in os.environ


def library(default):
    module = ModuleType("kubernetes.config.kube_config")
    module.KUBE_CONFIG_DEFAULT_LOCATION = default
    return module


@pytest.mark.parametrize("name", ["kubernetes.config.kube_config", "kubernetes_asyncio.config.kube_config"])
def test_a_library_that_read_the_variable_at_its_import_is_pointed_here_too(nothing_set, tmp_path, monkeypatch, name):
    module = library("/old")
    monkeypatch.setitem(sys.modules, name, module)
    with pointed_at(tmp_path / "a"):
        assert str(tmp_path / "a") == module.KUBE_CONFIG_DEFAULT_LOCATION
    assert module.KUBE_CONFIG_DEFAULT_LOCATION == "/old"


def test_a_library_that_is_imported_meanwhile_does_not_keep_pointing_here(nothing_set, tmp_path, monkeypatch):
    name = "kubernetes.config.kube_config"
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, name)
    with pointed_at(tmp_path / "a"):
        module = library(os.environ["KUBECONFIG"])
        monkeypatch.setitem(sys.modules, name, module)
    assert module.KUBE_CONFIG_DEFAULT_LOCATION == "~/.kube/config"
