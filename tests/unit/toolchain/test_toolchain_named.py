from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_vcluster.errors import ToolchainError
from pytest_vcluster.toolchain import Component, Source, Sources, Wanted, cache, locate
from pytest_vcluster.toolchain.named import Fit, Named, fit
from pytest_vcluster.toolchain.probe import named_binary

SERVER = Wanted(Component.KUBE_APISERVER, "v1.36.4")
OWN, ASSETS, PATH = "TEST_ASSET_KUBE_APISERVER", "KUBEBUILDER_ASSETS", "PATH"

MakeSources = Callable[..., Sources]


def program(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("component", "floating", "by", "version", "expected"),
    [
        (Component.ETCD, False, "TEST_ASSET_ETCD", None, Fit.YES),
        (Component.KWOK, False, ASSETS, None, Fit.YES),
        (Component.KUBE_APISERVER, False, OWN, None, Fit.UNKNOWN),
        (Component.KUBE_APISERVER, False, OWN, "v1.36.4", Fit.YES),
        (Component.KUBE_APISERVER, False, OWN, "v1.36.2", Fit.NO),
        (Component.KUBE_APISERVER, True, OWN, "v1.36.2", Fit.YES),
        (Component.KUBE_APISERVER, True, ASSETS, "v1.35.8", Fit.NO),
        (Component.KUBE_APISERVER, False, OWN, "v0.0.0-master+abc", Fit.YES),
        (Component.KUBE_APISERVER, False, OWN, "", Fit.YES),
        (Component.KUBECTL, False, "TEST_ASSET_KUBECTL", None, Fit.YES),
        (Component.KUBECTL, False, PATH, None, Fit.UNKNOWN),
        (Component.KUBECTL, False, PATH, "v1.37.0", Fit.YES),
        (Component.KUBECTL, False, PATH, "v1.35.9-gke.1", Fit.YES),
        (Component.KUBECTL, False, PATH, "v1.34.0", Fit.NO),
        (Component.KUBECTL, False, PATH, "", Fit.NO),
    ],
)
def test_a_named_binary_serves_unless_it_is_known_to_be_another_version(
    component: Component, floating: bool, by: str, version: str | None, expected: Fit
) -> None:
    assert fit(Wanted(component, "v1.36.4", floating), Named(Path("/x"), by), version) is expected


def test_the_variable_of_one_binary_comes_before_the_folder_of_all(
    environ: dict[str, str], make_sources: MakeSources, tmp_path: Path
) -> None:
    own = program(tmp_path / "own-etcd", "")
    program(tmp_path / "assets" / "etcd", "")
    environ |= {"KUBEBUILDER_ASSETS": str(tmp_path / "assets")}
    wanted = Wanted(Component.ETCD, "v3.6.16")
    found = locate(wanted, make_sources())
    assert found is not None
    assert (found.path, found.source) == (tmp_path / "assets" / "etcd", Source.NAMED)
    environ |= {"TEST_ASSET_ETCD": str(own)}
    found = locate(wanted, make_sources())
    assert found is not None
    assert found.path == own


def test_a_server_is_asked_for_its_version_once_and_located_without_asking_after_that(
    environ: dict[str, str], make_sources: MakeSources, tmp_path: Path
) -> None:
    path = program(tmp_path / "mine", "Kubernetes v1.36.4")
    environ[OWN] = str(path)
    sources = make_sources()
    assert locate(SERVER, sources) is None
    asked = named_binary(SERVER, sources, pytest.fail)
    assert asked is not None
    assert (asked.path, asked.version, asked.source) == (path, "v1.36.4", Source.NAMED)
    assert locate(SERVER, sources) == asked
    path.write_text("#!/bin/sh\necho Kubernetes v1.35.8\n")
    os.utime(path, ns=(7, 7))
    assert locate(SERVER, sources) is None


def test_a_server_of_another_version_is_passed_over_with_a_word(
    environ: dict[str, str], make_sources: MakeSources, tmp_path: Path
) -> None:
    program(tmp_path / "assets" / "kube-apiserver", "Kubernetes v1.35.0")
    environ["KUBEBUILDER_ASSETS"] = str(tmp_path / "assets")
    lines: list[str] = []
    assert named_binary(SERVER, make_sources(), lines.append) is None
    assert len(lines) == 1
    assert "KUBEBUILDER_ASSETS" in lines[0]
    assert "is v1.35.0 and not used for kube-apiserver v1.36.4" in lines[0]


def test_a_binary_found_by_minor_reports_its_own_patch(
    environ: dict[str, str], make_sources: MakeSources, tmp_path: Path
) -> None:
    program(tmp_path / "assets" / "kube-apiserver", "Kubernetes v1.36.0")
    environ["KUBEBUILDER_ASSETS"] = str(tmp_path / "assets")
    found = named_binary(Wanted(Component.KUBE_APISERVER, "v1.36.4", floating=True), make_sources(), pytest.fail)
    assert found is not None
    assert found.version == "v1.36.0"


def test_kubectl_is_taken_from_path_but_nothing_else_is(
    environ: dict[str, str], make_sources: MakeSources, tmp_path: Path
) -> None:
    program(tmp_path / "user-bin" / "kubectl", "Client Version: v1.36.1")
    program(tmp_path / "user-bin" / "kube-apiserver", "Kubernetes v1.36.4")
    environ["PATH"] += f"{os.pathsep}{tmp_path / 'user-bin'}"
    found = named_binary(Wanted(Component.KUBECTL, "v1.36.4"), make_sources(), pytest.fail)
    assert found is not None
    assert (found.path, found.version) == (tmp_path / "user-bin" / "kubectl", "v1.36.1")
    assert named_binary(SERVER, make_sources(), pytest.fail) is None


def test_a_variable_that_names_nothing_is_an_error(environ: dict[str, str], make_sources: MakeSources) -> None:
    environ[OWN] = "/nowhere/kube-apiserver"
    with pytest.raises(ToolchainError, match="TEST_ASSET_KUBE_APISERVER names /nowhere/kube-apiserver"):
        locate(SERVER, make_sources())


def test_a_named_file_that_is_not_executable_is_an_error(
    environ: dict[str, str], make_sources: MakeSources, tmp_path: Path
) -> None:
    path = program(tmp_path / "mine", "")
    path.chmod(0o644)
    environ[OWN] = str(path)
    with pytest.raises(ToolchainError, match="not executable"):
        named_binary(SERVER, make_sources(), pytest.fail)


def test_an_unwritable_cache_folder_does_not_keep_a_named_binary_from_being_used(
    environ: dict[str, str], make_sources: MakeSources, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    environ[OWN] = str(program(tmp_path / "mine", "Kubernetes v1.36.4"))
    assert named_binary(SERVER, make_sources(cache=tmp_path / "file" / "cache"), pytest.fail) is not None


def test_locate_finds_what_is_cached(make_sources: MakeSources) -> None:
    sources = make_sources()
    assert locate(SERVER, sources) is None
    with cache.staging(sources.cache, "x") as staging:
        path = cache.install(sources.cache, SERVER, program(staging / "made", ""))
    found = locate(SERVER, sources)
    assert found is not None
    assert (found.path, found.version, found.source) == (path, "v1.36.4", Source.CACHE)
