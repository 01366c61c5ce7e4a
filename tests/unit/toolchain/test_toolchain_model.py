from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_vcluster.errors import SettingsError
from pytest_vcluster.toolchain import Component, Sources, Wanted
from pytest_vcluster.toolchain.versions import ETCD_VERSION, HELM_VERSION, KIND_VERSION, KWOK_VERSION


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("kube-apiserver@v1.36.4", Wanted(Component.KUBE_APISERVER, "v1.36.4")),
        ("kube-apiserver@1.36.4", Wanted(Component.KUBE_APISERVER, "v1.36.4")),
        ("kubectl@1.36", Wanted(Component.KUBECTL, "v1.36.4", floating=True)),
        ("etcd", Wanted(Component.ETCD, ETCD_VERSION)),
        ("kwok@", Wanted(Component.KWOK, KWOK_VERSION)),
        ("helm", Wanted(Component.HELM, HELM_VERSION)),
        ("kind", Wanted(Component.KIND, KIND_VERSION)),
        ("etcd@v3.6.5", Wanted(Component.ETCD, "v3.6.5")),
    ],
)
def test_parses_what_is_wanted(text: str, wanted: Wanted) -> None:
    assert Wanted.parse(text) == wanted


@pytest.mark.parametrize("text", ["kube-proxy@v1.36.4", "", "kubectl", "kubectl@", "kubectl@1.20"])
def test_refuses_to_parse_anything_else(text: str) -> None:
    with pytest.raises(SettingsError):
        Wanted.parse(text)


@pytest.mark.parametrize(
    ("environ", "cache"),
    [
        ({"PYTEST_VCLUSTER_CACHE": "/own", "XDG_CACHE_HOME": "/xdg", "HOME": "/home/me"}, "/own"),
        ({"XDG_CACHE_HOME": "/xdg", "HOME": "/home/me"}, "/xdg/pytest-vcluster"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/home/me"}, "/home/me/.cache/pytest-vcluster"),
        ({"HOME": "/home/me"}, "/home/me/.cache/pytest-vcluster"),
    ],
)
def test_finds_the_cache_folder_as_the_xdg_specification_has_it(environ: dict[str, str], cache: str) -> None:
    assert Sources.from_environ(environ, offline=False).cache == Path(cache)


def test_mirrors_come_from_the_environment() -> None:
    sources = Sources.from_environ(
        {
            "PYTEST_VCLUSTER_K8S_MIRROR": "http://m/k8s/",
            "PYTEST_VCLUSTER_GITHUB_MIRROR": "http://m/gh",
            "PYTEST_VCLUSTER_HELM_MIRROR": "http://m/helm/",
        },
        offline=True,
    )
    assert sources.helm_mirror == "http://m/helm"
    assert (sources.k8s_mirror, sources.github_mirror, sources.github_api) == ("http://m/k8s", "http://m/gh", "")
    assert sources.offline
    official = Sources.from_environ({}, offline=False)
    assert official.k8s_mirror == "https://dl.k8s.io"
    assert official.github_api == "https://api.github.com"


def test_searching_loads_neither_network_nor_lock_nor_digest_libraries() -> None:
    program = (
        "import sys; from pytest_vcluster.toolchain import Sources, Wanted, locate;"
        "locate(Wanted.parse('etcd'), Sources.from_environ({'HOME': '/nowhere'}, offline=False));"
        "print(*sorted({'urllib.request', 'http', 'ssl', 'filelock', 'hashlib', 'subprocess'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
