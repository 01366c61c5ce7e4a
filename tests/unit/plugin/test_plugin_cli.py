from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_vcluster import cli, toolchain
from pytest_vcluster.errors import HostError, ProvisionError
from pytest_vcluster.hosts.in_cluster import existing
from pytest_vcluster.report import Row
from pytest_vcluster.report.page import write_page
from pytest_vcluster.service import client, strays
from pytest_vcluster.service.client import Kept, RunStatus
from pytest_vcluster.toolchain import Binary, Source, Wanted


class Service:
    """Stands in for the runs of this machine."""

    def __init__(self) -> None:
        self.kept = [Kept(cluster="vc-1", version="v1.36.4", kubeconfig="/runs/r1/vc-1.kubeconfig", holder="test_a")]
        self.requests: list[client.LeaseRequest] = []
        self.shut_down: list[str] = []
        self.can_keep = True

    def list_runs(self) -> list[RunStatus]:
        return [RunStatus(id="r1", directory=Path("/runs/r1"), alive=True, clusters={}, kept=tuple(self.kept))]

    def end_kept(self, directory: Path, *, cluster: str | None, timeout: float) -> None:
        self.kept = [kept for kept in self.kept if kept.cluster != cluster]

    def open_lease(self, run: Any, settings: Any, request: client.LeaseRequest, **_: object) -> Any:
        if request.version == "v1.37.99":
            raise ProvisionError("there is no such version")
        self.requests.append(request)
        lease = SimpleNamespace(grant=SimpleNamespace(cluster="vc-2", version=request.version), kept=None)

        def release(*, keep: bool) -> None:
            if keep and self.can_keep:
                lease.kept = Kept(cluster="vc-2", version=request.version, kubeconfig="/runs/r2/k", holder="up")
                self.kept.append(lease.kept)

        lease.release = release
        return lease


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    service = Service()
    for name in ("list_runs", "end_kept", "open_lease"):
        monkeypatch.setattr(client, name, getattr(service, name))
    monkeypatch.setattr(client, "keep", lambda run: ())
    monkeypatch.setattr(client, "shut_down", lambda run, *, timeout: service.shut_down.append(run.id))
    monkeypatch.setattr(client, "sweep", lambda: [Path("/runs/dead")])
    return service


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[Wanted]:
    asked: list[Wanted] = []

    def obtain(wanted: Sequence[Wanted], sources: object, *, progress: object) -> list[Binary]:
        asked.extend(wanted)
        return [Binary(each.component, each.version, Path("/bin") / each.component, Source.DOWNLOAD) for each in wanted]

    monkeypatch.setattr(toolchain, "obtain", obtain, raising=False)
    return asked


def test_up_starts_a_cluster_that_stands_on_its_own(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["up", "1.37", "--nodes", "2"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "export KUBECONFIG=/runs/r2/k\n"
    assert "vc-2 (v1.37.1) is up until: pytest-vcluster down vc-2" in shown.err
    (request,) = service.requests
    assert (request.version, len(request.nodes), request.on_host) == ("v1.37.1", 2, True)
    assert service.shut_down == []


def test_up_leaves_nothing_when_there_is_no_cluster(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["up", "1.37.99"]) == 1
    assert capsys.readouterr().err == "ProvisionError: there is no such version\n"
    assert len(service.shut_down) == 1


def test_up_leaves_nothing_when_the_cluster_cannot_stay(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.can_keep = False
    assert cli.main(["up"]) == 1
    assert "vc-2 could not be kept" in capsys.readouterr().err
    assert len(service.shut_down) == 1


@pytest.mark.usefixtures("service")
def test_list_shows_what_stands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    assert capsys.readouterr().out.split() == ["vc-1", "v1.36.4", "r1", "/runs/r1/vc-1.kubeconfig"]


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("name", [[], ["vc-1"], ["r1"]], ids=["the only one", "by cluster", "by run"])
def test_kubeconfig_prints_a_path_and_nothing_else(name: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["kubeconfig", *name]) == 0
    assert capsys.readouterr().out == "/runs/r1/vc-1.kubeconfig\n"


def test_down_ends_what_is_named(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["down", "vc-1"]) == 0
    assert capsys.readouterr().out == "vc-1 ended\n"
    assert service.kept == []


def test_an_unknown_or_ambiguous_name_tells_what_there_is(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["down", "vc-9"]) == 1
    assert "no kept cluster is meant by vc-9; there: vc-1" in capsys.readouterr().err
    service.kept.append(Kept(cluster="vc-2", version="v1.36.4", kubeconfig="/k", holder="test_b"))
    assert cli.main(["down"]) == 1
    assert "there: vc-1, vc-2" in capsys.readouterr().err
    assert len(service.kept) == 2


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")


@pytest.mark.usefixtures("service")
def test_sweep_tells_what_it_removed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert cli.main(["sweep"]) == 0
    assert capsys.readouterr().out == "removed /runs/dead\n"


@pytest.mark.usefixtures("service", "docker")
def test_sweep_tells_of_kind_clusters(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(strays, "sweep_clusters", lambda: [Path("/runs/gone")])
    assert cli.main(["sweep"]) == 0
    assert capsys.readouterr().out == "removed /runs/dead\nremoved the kind cluster of run gone\n"


@pytest.mark.usefixtures("service", "docker")
def test_sweep_does_its_part_where_docker_sleeps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def sweep_clusters() -> list[Path]:
        raise HostError("Docker does not answer")

    monkeypatch.setattr(strays, "sweep_clusters", sweep_clusters)
    assert cli.main(["sweep"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "removed /runs/dead\n"
    assert "kind clusters were not looked for" in shown.err


def test_a_host_is_swept_where_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[object] = []

    def swept(*arguments: object) -> list[str]:
        asked.append(arguments)
        return ["service/vc-1"]

    monkeypatch.setattr(existing, "swept", swept)
    file = tmp_path / "config"
    assert cli.main(["sweep", "--kubeconfig", str(file), "--context", "team", "--namespace", "ci"]) == 0
    assert asked == [(file, "team", "ci")]
    assert capsys.readouterr().out == "removed service/vc-1\n"


@pytest.mark.parametrize("half", [["--kubeconfig", "k"], ["--context", "c"], ["--namespace", "n"]])
def test_a_host_is_not_swept_by_half_a_name(half: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sweep", *half]) == 1
    assert "both were named: --kubeconfig and --context" in capsys.readouterr().err


def test_a_host_that_can_not_be_reached_is_not_swept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config"
    cluster = {"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": True}
    document = {
        "clusters": [{"name": "one", "cluster": cluster}],
        "users": [{"name": "one", "user": {"token": "t"}}],
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
    }
    file.write_text(json.dumps(document))
    assert cli.main(["sweep", "--kubeconfig", str(file), "--context", "one"]) == 1
    assert "names no namespace. Say by --namespace which one to sweep." in capsys.readouterr().err
    assert cli.main(["sweep", "--kubeconfig", str(file), "--context", "one", "--namespace", "ci"]) == 1
    assert "Namespace ci of context 'one' in" in capsys.readouterr().err


def test_fetch_gets_all_binaries_of_all_versions(fetched: list[Wanted], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fetch", "1.36", "1.37", "1.36.4"]) == 0
    assert {wanted.version for wanted in fetched if wanted.component.is_kubernetes} == {"v1.36.4", "v1.37.1"}
    assert len(fetched) == len(set(fetched))
    assert "kube-apiserver v1.37.1 (download): /bin/kube-apiserver" in capsys.readouterr().out


def test_a_wrong_version_is_an_error_not_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fetch", "newest"]) == 1
    assert capsys.readouterr().err.startswith("SettingsError: 'newest' is not a Kubernetes version.")


def test_doctor_ends_with_a_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(os.environ, "PYTEST_VCLUSTER_CACHE", str(tmp_path))
    monkeypatch.setitem(os.environ, "TEST_ASSET_ETCD", str(tmp_path / "none"))
    assert cli.main(["doctor"]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("ok    python")
    assert shown[-1].endswith("thing(s) to fix")


def test_report_prints_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = {"cluster": "vc-1", "version": "v1.36.4", "waited": 0.02, "evidence": "/left/x"}
    row = Row(test="test_x.py::test_y", outcome="failed", seconds=1.0, clusters=(cluster,))
    write_page(tmp_path / "page.html", [row], {"leases": 1, "versions": ["v1.36.4"]})
    assert cli.main(["report", str(tmp_path / "page.html")]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.split() == ["failed", "v1.36.4", "20", "ms", "test_x.py::test_y", "evidence:", "/left/x"]
    assert rest[0].startswith("1 leases on host embedded")


def test_report_refuses_what_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", str(tmp_path / "none.html")]) == 1
    assert "can't be read as a report" in capsys.readouterr().err
