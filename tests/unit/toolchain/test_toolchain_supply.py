from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from toolchain_fakes import PROGRAM, FakeGo, FakeSite

from pytest_vcluster.errors import ToolchainError
from pytest_vcluster.toolchain import Component, Source, Sources, Wanted, cache, obtain
from pytest_vcluster.toolchain.machine import this_machine

MakeSources = Callable[..., Sources]

HERE = this_machine()
SERVER = Wanted(Component.KUBE_APISERVER, "v1.36.4")
SCHEDULER = Wanted(Component.KUBE_SCHEDULER, "v1.36.4")


def release_path(wanted: Wanted) -> str:
    return f"/release/{wanted.version}/bin/{HERE.system}/{HERE.architecture}/{wanted.component}"


def leftovers(sources: Sources) -> list[Path]:
    return [path for path in (sources.cache / "staging").rglob("*") if path.is_file()]


def test_a_download_is_kept_and_found_in_the_cache_next_time(site: FakeSite, make_sources: MakeSources) -> None:
    sources = make_sources(k8s_mirror=site.url)
    site.publish(release_path(SERVER), PROGRAM)
    (binary,) = obtain([SERVER], sources, progress=lambda line: None)
    assert (binary.source, binary.path) == (Source.DOWNLOAD, cache.place(sources.cache, SERVER))
    asked = len(site.requests)
    (again,) = obtain([SERVER], sources, progress=pytest.fail)
    assert (again.source, again.path) == (Source.CACHE, binary.path)
    assert len(site.requests) == asked
    assert not leftovers(sources)


@pytest.mark.parametrize("trouble", ["wrong checksum", "cut", "404", "silent"])
def test_a_download_that_fails_is_told_in_one_line_and_a_build_follows(
    trouble: str, site: FakeSite, make_sources: MakeSources, fake_go: FakeGo
) -> None:
    path = release_path(SERVER)
    if trouble != "404":
        site.publish(path, PROGRAM, digest="0" * 64 if trouble == "wrong checksum" else None)
    if trouble == "cut":
        site.answers[path].announce = 10_000
    if trouble == "silent":
        site.answers[f"{path}.sha256"].silent = True
    lines: list[str] = []
    sources = make_sources(k8s_mirror=site.url, answer_seconds=0.3 if trouble == "silent" else 20.0)
    (binary,) = obtain([SERVER], sources, progress=lines.append)
    assert binary.source is Source.BUILD
    assert fake_go.builds == ["k8s.io/kubernetes/cmd/kube-apiserver"]
    word = {"wrong checksum": "wrong checksum", "cut": "ended after", "404": "HTTP 404", "silent": "no answer"}[trouble]
    told = [line for line in lines if word in line and "trying once more" not in line]
    assert len(told) == 1
    assert "\n" not in told[0]
    assert not leftovers(sources)


def test_components_of_one_version_share_what_was_learnt_and_the_longest_is_built_first(
    make_sources: MakeSources, fake_go: FakeGo
) -> None:
    lines: list[str] = []
    sources = make_sources()
    binaries = obtain([SCHEDULER, SERVER, SCHEDULER], sources, progress=lines.append)
    assert [binary.component for binary in binaries] == [
        Component.KUBE_SCHEDULER,
        Component.KUBE_APISERVER,
        Component.KUBE_SCHEDULER,
    ]
    assert fake_go.builds == ["k8s.io/kubernetes/cmd/kube-apiserver", "k8s.io/kubernetes/cmd/kube-scheduler"]
    assert sum("can't be reached" in line for line in lines) == 1
    # Once for both; a machine under load hears of it again every few seconds.
    assert sum("fetching the source" in line and "and of all it needs" in line for line in lines) == 1
    assert (sources.cache / "modules" / "k8s.io_kubernetes@v1.36.4" / "go.sum").exists()


def test_a_damaged_file_in_the_cache_is_replaced_and_that_is_said(make_sources: MakeSources, fake_go: FakeGo) -> None:
    sources = make_sources()
    (binary,) = obtain([SERVER], sources, progress=lambda line: None)
    whole = binary.path.read_bytes()
    binary.path.write_bytes(b"half")
    lines: list[str] = []
    (again,) = obtain([SERVER], sources, progress=lines.append)
    assert again.source is Source.BUILD
    assert again.path.read_bytes() == whole
    assert any("damaged" in line and "fetching it again" in line for line in lines)


def test_what_exists_nowhere_is_an_error_that_lists_what_was_tried(
    site: FakeSite, make_sources: MakeSources, fake_go: FakeGo
) -> None:
    fake_go.switch("missing", "v1.36.99\n")
    sources = make_sources(k8s_mirror=site.url)
    with pytest.raises(ToolchainError) as caught:
        obtain([Wanted(Component.KUBE_APISERVER, "v1.36.99")], sources, progress=lambda line: None)
    text = str(caught.value)
    assert text.startswith("kube-apiserver v1.36.99 can't be had. Tried:")
    assert "official download" in text
    assert "HTTP 404" in text
    assert "build from Go modules: the Go module proxy does not have it" in text
    assert "TEST_ASSET_KUBE_APISERVER" in text


def test_a_minor_falls_back_to_the_patch_before_for_all_its_components(
    make_sources: MakeSources, fake_go: FakeGo
) -> None:
    fake_go.switch("missing", "v1.36.4\n")
    wanted = [Wanted(one.component, one.version, floating=True) for one in (SERVER, SCHEDULER)]
    lines: list[str] = []
    binaries = obtain(wanted, make_sources(), progress=lines.append)
    assert [binary.version for binary in binaries] == ["v1.36.3", "v1.36.3"]
    assert sum("v1.36.4 is not to be had yet" in line and "v1.36.3" in line for line in lines) == 1


def test_a_full_version_never_falls_back(make_sources: MakeSources, fake_go: FakeGo) -> None:
    fake_go.switch("missing", "v1.36.4\n")
    with pytest.raises(ToolchainError, match=r"v1\.36\.4 can't be had"):
        obtain([SERVER], make_sources(), progress=lambda line: None)
    assert not fake_go.builds


def test_a_network_that_is_down_is_no_reason_to_fall_back(make_sources: MakeSources, fake_go: FakeGo) -> None:
    fake_go.switch("unreachable")
    wanted = Wanted(Component.KUBE_APISERVER, "v1.36.4", floating=True)
    with pytest.raises(ToolchainError, match="no such host"):
        obtain([wanted], make_sources(), progress=lambda line: None)


def test_a_build_that_fails_shows_what_go_said(make_sources: MakeSources, fake_go: FakeGo) -> None:
    fake_go.switch("broken")
    sources = make_sources()
    with pytest.raises(ToolchainError, match=r"go build .* ended with 1: one\nx\.go:1:1: syntax error"):
        obtain([SERVER], sources, progress=lambda line: None)
    assert not leftovers(sources)
    assert cache.look(sources.cache, SERVER) is None


def test_an_offline_run_names_each_file_lacking_and_every_place_looked(
    make_sources: MakeSources, environ: dict[str, str], fake_go: FakeGo
) -> None:
    environ["KUBEBUILDER_ASSETS"] = "/opt/assets"
    sources = make_sources(offline=True)
    with pytest.raises(ToolchainError) as caught:
        obtain([SERVER, Wanted(Component.KUBECTL, "v1.36.4")], sources, progress=pytest.fail)
    text = str(caught.value)
    for word in (
        "--vcluster-offline",
        "kube-apiserver v1.36.4",
        "kubectl v1.36.4",
        "KUBEBUILDER_ASSETS=/opt/assets",
        "TEST_ASSET_KUBE_APISERVER (not set)",
        "kubectl on PATH",
        f"{cache.place(sources.cache, SERVER)}: not there",
        "pytest-vcluster fetch",
    ):
        assert word in text
    assert not fake_go.builds
    assert not sources.cache.exists()


def test_an_offline_run_uses_what_is_cached(make_sources: MakeSources) -> None:
    obtain([SERVER], make_sources(), progress=lambda line: None)
    (binary,) = obtain([SERVER], make_sources(offline=True), progress=pytest.fail)
    assert binary.source is Source.CACHE


def test_an_unusable_cache_folder_is_one_error_that_names_the_variables(
    make_sources: MakeSources, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ToolchainError, match=r"Can't use the cache folder .*PYTEST_VCLUSTER_CACHE.*XDG_CACHE_HOME"):
        obtain([SERVER], make_sources(cache=tmp_path / "file" / "cache"), progress=lambda line: None)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_cache_folder_without_permission_is_that_error_too(
    make_sources: MakeSources, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, "refused", "/cache/locks")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ToolchainError, match=r"refused: /cache/locks.*PYTEST_VCLUSTER_CACHE"):
        obtain([SERVER], make_sources(), progress=lambda line: None)


def test_a_disk_that_fills_up_while_downloading_is_named(
    site: FakeSite, make_sources: MakeSources, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    site.publish(release_path(SERVER), PROGRAM)
    monkeypatch.setattr(cache, "install", full)
    sources = make_sources(k8s_mirror=site.url)
    with pytest.raises(ToolchainError, match=r"No space left on the disk of the cache folder .*PYTEST_VCLUSTER_CACHE"):
        obtain([SERVER], sources, progress=lambda line: None)
    assert not leftovers(sources)


def test_a_disk_that_fills_up_while_building_is_named(make_sources: MakeSources, fake_go: FakeGo) -> None:
    fake_go.switch("full")
    with pytest.raises(ToolchainError, match=r"No space left on the disk of the cache folder .*XDG_CACHE_HOME"):
        obtain([SERVER], make_sources(), progress=lambda line: None)


def test_a_download_for_another_machine_is_not_kept(site: FakeSite, make_sources: MakeSources, fake_go: FakeGo) -> None:
    site.publish(release_path(SERVER), b"MZ this is for Windows")
    lines: list[str] = []
    (binary,) = obtain([SERVER], make_sources(k8s_mirror=site.url), progress=lines.append)
    assert binary.source is Source.BUILD
    assert any("windows" in line for line in lines)
