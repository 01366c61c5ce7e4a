from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_vcluster import doctor
from pytest_vcluster.doctor import State
from pytest_vcluster.settings import HOSTS
from pytest_vcluster.toolchain import Component, Sources, Wanted

ETCD = Wanted(Component.ETCD, "v3.6.16")


def sources(tmp_path: Path, **environ: str) -> Sources:
    return Sources.from_environ({"PYTEST_VCLUSTER_CACHE": str(tmp_path / "cache"), **environ}, offline=True)


def test_a_machine_is_looked_at_from_all_sides(tmp_path: Path) -> None:
    environ = {"PYTEST_VCLUSTER_CACHE": str(tmp_path), "PATH": ""}
    subjects = [finding.subject for finding in doctor.examine_machine(environ, versions=["v1.36.4", "v1.37.1"])]
    assert subjects == [
        "python",
        "memory",
        "cache folder",
        *(str(wanted) for wanted in doctor.binaries_of(["v1.36.4", "v1.37.1"])),
        "go",
        "kubectl on PATH",
        "loopback addresses",
        "folder for runs",
    ]


def test_other_hosts_need_other_things(tmp_path: Path) -> None:
    environ = {"PYTEST_VCLUSTER_CACHE": str(tmp_path), "PATH": ""}

    def subjects(host: str) -> list[str]:
        return [finding.subject for finding in doctor.examine_machine(environ, versions=["v1.36.4"], host=host)]

    components = {component: {subject.split()[0] for subject in subjects(component)} for component in HOSTS}
    assert not {"helm", "kind", "docker"} & components["embedded"]
    assert {"helm", "kind", "kubectl", "docker"} <= components["kind"]
    assert {"helm", "kubectl"} <= components["existing"]
    assert not {"kind", "docker", "kube-apiserver", "kwok"} & components["existing"]


def test_without_docker_it_says_what_to_do(tmp_path: Path) -> None:
    [finding] = doctor.docker_findings({"PATH": str(tmp_path)})
    assert finding.state is State.BAD
    assert "Install Docker" in finding.text


@pytest.mark.parametrize(("has_image", "state"), [(True, State.OK), (False, State.NOTE)])
def test_docker_and_the_image_are_looked_for(tmp_path: Path, has_image: bool, state: State) -> None:
    docker = tmp_path / "docker"
    answers = f"""info) echo '{{"ServerVersion": "29.1"}}' ;; image) exit {0 if has_image else 1} ;;"""
    docker.write_text(f'#!/bin/sh\ncase "$1" in {answers} esac\n')
    docker.chmod(0o755)
    running, image = doctor.docker_findings({"PATH": str(tmp_path)})
    assert (running.state, running.text) == (State.OK, f"29.1: {docker}")
    assert image.state is state
    assert ("pytest-vcluster image" in str(image)) is not has_image


def test_what_is_likely_to_go_wrong_with_docker_is_told_with_what_to_do(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text("""#!/bin/sh\necho '{"ServerVersion": "29", "CgroupVersion": "1", "MemTotal": 2147483648}'\n""")
    docker.chmod(0o755)
    notes = [str(each) for each in doctor.docker_findings({"PATH": str(tmp_path)}) if each.state is State.NOTE]
    assert ["failCgroupV1" in note for note in notes] == [True, False]
    assert "2.0 GiB" in notes[1]
    assert "Docker Desktop" in notes[1]


def test_docker_that_does_not_run_is_told_in_its_own_words(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho Cannot connect to the Docker daemon >&2\nexit 1\n")
    docker.chmod(0o755)
    [finding] = doctor.docker_findings({"PATH": str(tmp_path)})
    assert finding.state is State.BAD
    assert "Cannot connect to the Docker daemon" in finding.text


def test_the_scheduler_is_needed_for_the_host_only() -> None:
    wanted: Sequence[Wanted] = doctor.binaries_of(["v1.36.4", "v1.37.1"])
    assert [each.version for each in wanted if each.component is Component.KUBE_SCHEDULER] == ["v1.36.4"]


@pytest.mark.parametrize(("version", "state"), [((3, 10), State.BAD), ((3, 11), State.OK), ((4, 0), State.OK)])
def test_python_must_be_new_enough(version: tuple[int, int], state: State) -> None:
    assert doctor.python_finding(version).state is state


@pytest.mark.parametrize(("free", "state"), [(None, State.NOTE), (2**28, State.BAD), (2**34, State.OK)])
def test_memory_must_do_for_a_cluster(free: int | None, state: State) -> None:
    assert doctor.memory_finding(2, free_bytes=free).state is state


def test_a_cache_folder_that_is_to_be_made_is_fine(tmp_path: Path) -> None:
    assert doctor.cache_finding(tmp_path / "a" / "b").state is not State.BAD


def test_a_cache_folder_below_a_file_is_not(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finding = doctor.cache_finding(tmp_path / "file" / "cache")
    assert finding.state is State.BAD
    assert "PYTEST_VCLUSTER_CACHE" in str(finding)


def test_a_binary_that_is_named_is_found(tmp_path: Path) -> None:
    binary = tmp_path / "etcd"
    shutil.copy(shutil.which("true") or "/bin/true", binary)
    finding = doctor.binary_finding(ETCD, sources(tmp_path, TEST_ASSET_ETCD=str(binary)))
    assert (finding.state, finding.text) == (State.OK, f"named: {binary}")


def test_a_binary_that_is_not_here_tells_how_to_have_it(tmp_path: Path) -> None:
    finding = doctor.binary_finding(Wanted(Component.KUBE_APISERVER, "v1.36.4"), sources(tmp_path))
    assert finding.state is State.NOTE
    assert str(finding).endswith("pytest-vcluster fetch v1.36.4")


def test_a_named_binary_that_is_missing_is_bad(tmp_path: Path) -> None:
    finding = doctor.binary_finding(ETCD, sources(tmp_path, TEST_ASSET_ETCD=str(tmp_path / "none")))
    assert finding.state is State.BAD


def test_an_address_that_is_not_of_this_machine_is_bad() -> None:
    assert doctor.loopback_finding("192.0.2.1").state is State.BAD


def test_the_folder_for_runs_may_be_elsewhere(tmp_path: Path) -> None:
    assert doctor.runs_folder_finding(tmp_path / "runs", temporary=tmp_path).text == str(tmp_path / "runs")
    assert "is too long" in doctor.runs_folder_finding(tmp_path / "runs", temporary=Path("/elsewhere")).text


def test_a_folder_for_runs_that_cannot_be_made_is_bad(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert doctor.runs_folder_finding(tmp_path / "file" / "runs", temporary=tmp_path).state is State.BAD
