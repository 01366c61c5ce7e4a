from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from toolchain_fakes import PROGRAM, Answer, FakeSite

from pytest_vcluster.toolchain import Component, Sources, Wanted
from pytest_vcluster.toolchain.download import artefact_of, digest_in, download
from pytest_vcluster.toolchain.failures import Missing, Unreachable, WayFailed
from pytest_vcluster.toolchain.machine import Target, this_machine

MakeSources = Callable[..., Sources]

HERE = this_machine()
SERVER = Wanted(Component.KUBE_APISERVER, "v1.36.4")
SERVER_PATH = f"/release/v1.36.4/bin/{HERE.system}/{HERE.architecture}/kube-apiserver"
DIGEST = "ab" * 32


@pytest.fixture
def sources(make_sources: MakeSources, site: FakeSite) -> Sources:
    return make_sources(k8s_mirror=site.url, github_mirror=site.url, github_api="")


@pytest.fixture
def lines() -> list[str]:
    return []


def test_official_addresses() -> None:
    official = Sources.from_environ({"HOME": "/h"}, offline=False)
    linux, mac = Target("linux", "amd64"), Target("darwin", "arm64")
    assert artefact_of(SERVER, linux, official).url == (
        "https://dl.k8s.io/release/v1.36.4/bin/linux/amd64/kube-apiserver"
    )
    etcd = artefact_of(Wanted(Component.ETCD, "v3.6.16"), linux, official)
    assert etcd.url == "https://github.com/etcd-io/etcd/releases/download/v3.6.16/etcd-v3.6.16-linux-amd64.tar.gz"
    assert etcd.checksum_url == "https://github.com/etcd-io/etcd/releases/download/v3.6.16/SHA256SUMS"
    assert etcd.member == "etcd-v3.6.16-linux-amd64/etcd"
    assert artefact_of(Wanted(Component.ETCD, "v3.6.16"), mac, official).name == "etcd-v3.6.16-darwin-arm64.zip"
    kwok = artefact_of(Wanted(Component.KWOK, "v0.8.0"), mac, official)
    assert kwok.url == "https://github.com/kubernetes-sigs/kwok/releases/download/v0.8.0/kwok-darwin-arm64"
    assert kwok.checksum_url == "https://api.github.com/repos/kubernetes-sigs/kwok/releases/tags/v0.8.0"


def test_official_addresses_of_what_only_some_hosts_need() -> None:
    official = Sources.from_environ({"HOME": "/h"}, offline=False)
    helm = artefact_of(Wanted(Component.HELM, "v4.3.1"), Target("linux", "amd64"), official)
    assert helm.url == "https://get.helm.sh/helm-v4.3.1-linux-amd64.tar.gz"
    assert (helm.checksum_url, helm.member) == (f"{helm.url}.sha256sum", "linux-amd64/helm")
    kind = artefact_of(Wanted(Component.KIND, "v0.33.0"), Target("darwin", "arm64"), official)
    assert kind.url == "https://github.com/kubernetes-sigs/kind/releases/download/v0.33.0/kind-darwin-arm64"
    assert kind.checksum_url == f"{kind.url}.sha256sum"


@pytest.mark.parametrize(
    ("document", "digest"),
    [
        (DIGEST, DIGEST),
        (DIGEST.upper() + "\n", DIGEST),
        (f"{DIGEST}  kwok\n", DIGEST),
        (f"{'0' * 64}  other\n{DIGEST} *kwok\n", DIGEST),
        (f"{DIGEST}  ./release/kwok\n", DIGEST),
        (f"{DIGEST}  other\n", None),
        (json.dumps({"assets": [{"name": "kwok", "digest": f"sha256:{DIGEST}"}]}), DIGEST),
        (json.dumps({"assets": [{"name": "kwok", "digest": f"md5:{DIGEST}"}]}), None),
        (json.dumps({"assets": [{"name": "other"}, {"name": "kwok", "digest": None}]}), None),
        ('{"assets": 3}', None),
        ("{", None),
        ("", None),
        ("<html>not a checksum</html>", None),
        ("ab" * 20, None),
    ],
)
def test_reads_the_digest_out_of_every_kind_of_checksum_document(document: str, digest: str | None) -> None:
    assert digest_in(document.encode(), "kwok") == digest


def test_a_binary_with_the_right_checksum_arrives_executable(
    site: FakeSite, sources: Sources, tmp_path: Path, lines: list[str]
) -> None:
    site.publish(SERVER_PATH, PROGRAM)
    made = download(SERVER, sources, tmp_path, lines.append)
    assert made.read_bytes() == PROGRAM
    assert os.access(made, os.X_OK)
    assert any("downloading" in line for line in lines)


def test_a_wrong_checksum_is_named_and_nothing_is_kept(
    site: FakeSite, sources: Sources, tmp_path: Path, lines: list[str]
) -> None:
    site.publish(SERVER_PATH, PROGRAM, digest=DIGEST)
    with pytest.raises(WayFailed, match="wrong checksum.*" + DIGEST):
        download(SERVER, sources, tmp_path, lines.append)
    assert not list(tmp_path.glob("kube-apiserver*"))
    assert site.requests.count(SERVER_PATH) == 1


def test_a_cut_connection_is_tried_once_more_and_then_told(
    site: FakeSite, sources: Sources, tmp_path: Path, lines: list[str]
) -> None:
    site.publish(SERVER_PATH, PROGRAM)
    site.answers[SERVER_PATH].announce = len(PROGRAM) + 100
    with pytest.raises(WayFailed, match=f"ended after {len(PROGRAM)} of {len(PROGRAM) + 100} bytes"):
        download(SERVER, sources, tmp_path, lines.append)
    assert site.requests.count(SERVER_PATH) == 2


def test_a_connection_cut_once_does_no_harm(site: FakeSite, sources: Sources, tmp_path: Path, lines: list[str]) -> None:
    site.publish(SERVER_PATH, PROGRAM)
    site.answers[SERVER_PATH].announce = len(PROGRAM) + 100

    def mend(line: str) -> None:
        if "trying once more" in line:
            site.answers[SERVER_PATH].announce = None

    assert download(SERVER, sources, tmp_path, mend).read_bytes() == PROGRAM


def test_what_is_not_there_is_missing(sources: Sources, tmp_path: Path, lines: list[str]) -> None:
    with pytest.raises(Missing, match="HTTP 404"):
        download(SERVER, sources, tmp_path, lines.append)


def test_a_site_in_trouble_is_not_taken_for_a_missing_version(
    site: FakeSite, sources: Sources, tmp_path: Path, lines: list[str]
) -> None:
    site.answers[f"{SERVER_PATH}.sha256"] = Answer(status=503)
    with pytest.raises(WayFailed, match="HTTP 503") as caught:
        download(SERVER, sources, tmp_path, lines.append)
    assert not isinstance(caught.value, Missing)


def test_a_silent_site_is_asked_once_in_a_run_and_said_once(
    site: FakeSite, make_sources: MakeSources, tmp_path: Path, lines: list[str]
) -> None:
    sources = make_sources(k8s_mirror=site.url, answer_seconds=0.5)
    site.answers[f"{SERVER_PATH}.sha256"] = Answer(silent=True)
    for _ in range(3):
        with pytest.raises(Unreachable, match=r"no answer within 0\.5 s"):
            download(SERVER, sources, tmp_path, lines.append)
    assert len(site.requests) == 1
    assert len(lines) == 1
    assert "not asked again" in lines[0]


def test_a_site_that_refuses_connections_counts_as_unreachable(
    make_sources: MakeSources, tmp_path: Path, lines: list[str]
) -> None:
    with pytest.raises(Unreachable, match="can't be reached"):
        download(SERVER, make_sources(), tmp_path, lines.append)


def test_follows_redirects(site: FakeSite, sources: Sources, tmp_path: Path, lines: list[str]) -> None:
    site.publish("/cdn/kube-apiserver", PROGRAM)
    for ending in ("", ".sha256"):
        location = f"{site.url}/cdn/kube-apiserver{ending}"
        site.answers[f"{SERVER_PATH}{ending}"] = Answer(status=302, headers={"Location": location})
    assert download(SERVER, sources, tmp_path, lines.append).read_bytes() == PROGRAM


def test_a_checksum_document_without_the_file_is_not_trusted(
    site: FakeSite, sources: Sources, tmp_path: Path, lines: list[str]
) -> None:
    site.publish(SERVER_PATH, PROGRAM, digest="a page that wants you to log in")
    with pytest.raises(WayFailed, match=r"tells no SHA-256 of kube-apiserver"):
        download(SERVER, sources, tmp_path, lines.append)


def test_only_http_is_spoken(make_sources: MakeSources, tmp_path: Path, lines: list[str]) -> None:
    with pytest.raises(WayFailed, match="neither http"):
        download(SERVER, make_sources(k8s_mirror="file:///etc"), tmp_path, lines.append)


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_etcd_is_taken_out_of_its_archive(
    site: FakeSite,
    sources: Sources,
    tmp_path: Path,
    lines: list[str],
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = "linux" if kind == "tar.gz" else "darwin"
    monkeypatch.setattr("pytest_vcluster.toolchain.download.this_machine", lambda: Target(system, "arm64"))
    name = f"etcd-v3.6.16-{system}-arm64"
    archive = packed(kind, f"{name}/etcd")
    folder = "/etcd-io/etcd/releases/download/v3.6.16"
    site.answers[f"{folder}/{name}.{kind}"] = Answer(archive)
    sums = f"{DIGEST}  other.tar.gz\n{hashlib.sha256(archive).hexdigest()}  {name}.{kind}\n"
    site.answers[f"{folder}/SHA256SUMS"] = Answer(sums.encode())
    made = download(Wanted(Component.ETCD, "v3.6.16"), sources, tmp_path, lines.append)
    assert made.read_bytes() == PROGRAM
    assert os.access(made, os.X_OK)


def test_an_archive_without_the_binary_is_told(
    site: FakeSite, sources: Sources, tmp_path: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_vcluster.toolchain.download.this_machine", lambda: Target("linux", "amd64"))
    archive = packed("tar.gz", "elsewhere/etcd")
    folder, name = "/etcd-io/etcd/releases/download/v3.6.16", "etcd-v3.6.16-linux-amd64.tar.gz"
    site.answers[f"{folder}/{name}"] = Answer(archive)
    site.answers[f"{folder}/SHA256SUMS"] = Answer(f"{hashlib.sha256(archive).hexdigest()}  {name}\n".encode())
    with pytest.raises(WayFailed, match="no archive with etcd-v3"):
        download(Wanted(Component.ETCD, "v3.6.16"), sources, tmp_path, lines.append)


def test_kwok_is_checked_by_the_digest_that_github_tells(
    site: FakeSite, make_sources: MakeSources, tmp_path: Path, lines: list[str]
) -> None:
    sources = make_sources(github_mirror=site.url, github_api=f"{site.url}/api")
    name = f"kwok-{HERE.system}-{HERE.architecture}"
    site.answers[f"/kubernetes-sigs/kwok/releases/download/v0.8.0/{name}"] = Answer(PROGRAM)
    release = {"assets": [{"name": name, "digest": f"sha256:{hashlib.sha256(PROGRAM).hexdigest()}"}]}
    site.answers["/api/repos/kubernetes-sigs/kwok/releases/tags/v0.8.0"] = Answer(json.dumps(release).encode())
    made = download(Wanted(Component.KWOK, "v0.8.0"), sources, tmp_path, lines.append)
    assert made.read_bytes() == PROGRAM


def packed(kind: str, member: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as zipped:
            zipped.writestr(member, PROGRAM)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as tarred:
            entry = tarfile.TarInfo(member)
            entry.size = len(PROGRAM)
            tarred.addfile(entry, io.BytesIO(PROGRAM))
    return buffer.getvalue()
