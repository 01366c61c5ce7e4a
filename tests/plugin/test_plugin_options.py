from __future__ import annotations

import json
from pathlib import Path

import pytest
from plugin_runs import Runs

PRINT_SETTINGS = """
    import json
    from pytest_vcluster.options import SETTINGS
    def test_a(request):
        settings = request.config.stash[SETTINGS].to_json()
        (request.config.rootpath / "settings.json").write_text(json.dumps(settings))
"""

GOOD = [
    ("host", "embedded", "host", "embedded"),
    ("version", "1.37,v1.35.2,1.37", "versions", ["v1.37.1", "v1.35.2"]),
    ("isolation", "fresh", "isolation", "fresh"),
    ("keep", "on-failure", "keep", "on-failure"),
    ("evidence", "left", "evidence", "{root}/left"),
    ("pool", "7", "pool", 7),
    ("timeout", "2.5", "timeout", 2.5),
    ("report", "out/report.html", "report", "{root}/out/report.html"),
    ("offline", "yes", "offline", True),
]

BAD = [
    ("host", "foo", "'foo' is not known. Allowed: embedded, kind, existing."),
    ("version", "latest", "'latest' is not a Kubernetes version."),
    ("version", "1.36,1.12", "Kubernetes 1.12 *is not supported.*1.35, 1.36, 1.37"),
    ("version", ",", "',' holds no version. Allowed: one or more of 1.35, 1.36, 1.37*"),
    ("isolation", "none", "'none' is not known. Allowed: recycle, fresh, verify."),
    ("keep", "sometimes", "'sometimes' is not known. Allowed: never, on-failure, always."),
    ("evidence", "test_it.py", "'test_it.py' is a file. Allowed: the path of a folder*"),
    ("pool", "many", "'many' is no number of them. Allowed: a whole number from 1 on."),
    ("pool", "0", "'0' is no number of them.*"),
    ("timeout", "0", "'0' is no time to wait. Allowed: a number of seconds above 0."),
    ("timeout", "soon", "'soon' is no time to wait.*"),
    ("timeout", "inf", "'inf' is no time to wait.*"),
    ("report", ".", "'.' is a folder. Allowed: the path of the HTML file to write."),
    ("kubeconfig", "nowhere", "'nowhere' is no file that can be read. Allowed: the path of a kubeconfig file."),
    ("nodes", "-1", "'-1' is no number of them.*"),
]


def settings(runs: Runs, *args: str) -> dict[str, object]:
    runs.test(PRINT_SETTINGS, *args).assert_outcomes(passed=1)
    found: dict[str, object] = json.loads((runs.path / "settings.json").read_text())
    return found


def expected(value: object, root: Path) -> object:
    return value.format(root=root) if isinstance(value, str) else value


@pytest.mark.parametrize(("option", "text", "field", "value"), GOOD)
def test_option_in_cli(runs: Runs, option: str, text: str, field: str, value: object) -> None:
    args = [f"--vcluster-{option}"] if option == "offline" else [f"--vcluster-{option}", text]
    assert settings(runs, *args)[field] == expected(value, runs.path)


@pytest.mark.parametrize(("option", "text", "field", "value"), GOOD)
def test_option_in_ini(runs: Runs, option: str, text: str, field: str, value: object) -> None:
    runs.pytester.makeini(f"[pytest]\nvcluster_{option} = {text}\n")
    assert settings(runs)[field] == expected(value, runs.path)


@pytest.mark.parametrize(("option", "text", "field", "value"), GOOD)
def test_option_in_env(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, option: str, text: str, field: str, value: object
) -> None:
    monkeypatch.setenv(f"PYTEST_VCLUSTER_{option.upper()}", text)
    assert settings(runs)[field] == expected(value, runs.path)


def test_cli_beats_env_beats_ini(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.pytester.makeini("[pytest]\nvcluster_pool = 1\nvcluster_timeout = 1\nvcluster_keep = always\n")
    monkeypatch.setenv("PYTEST_VCLUSTER_POOL", "2")
    monkeypatch.setenv("PYTEST_VCLUSTER_TIMEOUT", "2")
    found = settings(runs, "--vcluster-pool", "3")
    assert (found["pool"], found["timeout"], found["keep"]) == (3, 2.0, "always")


def test_paths_of_the_ini_file_start_from_its_folder(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.pytester.makeini("[pytest]\nvcluster_evidence = left\n")
    runs.pytester.makepyfile(test_it=PRINT_SETTINGS)
    monkeypatch.chdir(runs.pytester.mkdir("elsewhere"))
    runs.again("--rootdir", str(runs.path), "-c", str(runs.path / "tox.ini"), str(runs.path / "test_it.py"))
    assert json.loads((runs.path / "settings.json").read_text())["evidence"] == str(runs.path / "left")


@pytest.mark.parametrize(("option", "text", "message"), BAD)
def test_a_wrong_option_in_cli_stops_the_run(runs: Runs, option: str, text: str, message: str) -> None:
    result = runs.test("def test_a(vcluster): pass", f"--vcluster-{option}={text}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --vcluster-{option}: {message}*"])
    assert not runs.world()


@pytest.mark.parametrize(("option", "text", "message"), [*BAD, ("offline", "maybe", "*maybe*Allowed: yes|no.")])
def test_a_wrong_option_in_ini_stops_the_run(runs: Runs, option: str, text: str, message: str) -> None:
    runs.pytester.makeini(f"[pytest]\nvcluster_{option} = {text}\n")
    result = runs.test("def test_a(vcluster): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: vcluster_{option} in tox.ini: {message}*"])


@pytest.mark.parametrize(("option", "text", "message"), [*BAD, ("offline", "maybe", "'maybe' is neither yes nor no.*")])
def test_a_wrong_option_in_env_stops_the_run(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, option: str, text: str, message: str
) -> None:
    monkeypatch.setenv(f"PYTEST_VCLUSTER_{option.upper()}", text)
    result = runs.test("def test_a(vcluster): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: PYTEST_VCLUSTER_{option.upper()}: {message}*"])


def test_all_wrong_options_are_told_at_once(runs: Runs) -> None:
    result = runs.test("", "--vcluster-host=foo", "--vcluster-pool=x", "--vcluster-timeout=-1")
    result.stderr.fnmatch_lines(["*--vcluster-host: 'foo'*", "*--vcluster-pool: 'x'*", "*--vcluster-timeout: '-1'*"])


def test_a_context_without_a_kubeconfig_is_refused(runs: Runs) -> None:
    result = runs.test("", "--vcluster-context=prod")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --vcluster-context 'prod' without --vcluster-kubeconfig: *"])


def test_an_existing_host_without_a_context_is_refused(runs: Runs) -> None:
    (runs.path / "kubeconfig").touch()
    result = runs.test("", "--vcluster-host=existing", "--vcluster-kubeconfig=kubeconfig")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --vcluster-host existing without --vcluster-context: *"])


def test_a_kubeconfig_for_a_host_that_is_made_is_refused(runs: Runs) -> None:
    (runs.path / "kubeconfig").touch()
    result = runs.test("", "--vcluster-kubeconfig=kubeconfig")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --vcluster-kubeconfig names a host cluster*--vcluster-host existing*"])


@pytest.mark.parametrize("option", ["--vcluster-reuse=dev", "--vcluster-kind-image=kindest/node:v1.36.4"])
def test_options_of_kind_are_refused_elsewhere(runs: Runs, option: str) -> None:
    result = runs.test("", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {option.partition('=')[0]} is for --vcluster-host kind, *'embedded'*"])


@pytest.mark.parametrize("option", ["--vcluster-namespace=team", "--vcluster-syncer-image=registry/syncer:1"])
def test_options_of_hosts_with_pods_are_refused_elsewhere(runs: Runs, option: str) -> None:
    result = runs.test("", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {option.partition('=')[0]} is for --vcluster-host kind or existing, *"])


def test_a_name_that_kubernetes_would_not_take_is_refused(runs: Runs) -> None:
    result = runs.test("", "--vcluster-host=kind", "--vcluster-reuse=My_Cluster")
    result.stderr.fnmatch_lines(["ERROR: --vcluster-reuse: 'My_Cluster' is no such name. Allowed: lower case *"])


def test_a_switch_that_the_syncer_does_not_have_is_refused(runs: Runs) -> None:
    result = runs.test("", "--vcluster-sync=to_host.ingresses,to_host.pods")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --vcluster-sync: 'to_host.ingresses,to_host.pods' names 'to_host.pods', which is no switch. *"]
    )


def test_nodes_in_cli(runs: Runs) -> None:
    runs.test("def test_a(vcluster): pass", "--vcluster-nodes=2").assert_outcomes(passed=1)
    assert runs.world("open")[0]["nodes"] == ["node-1", "node-2"]


def test_described_nodes_in_ini_are_filled_up_with_plain_ones(runs: Runs) -> None:
    runs.pytester.makeini(
        """
        [pytest]
        vcluster_nodes = 3
        vcluster_node =
            {"name": "gpu-1", "labels": {"tier": "gpu"}, "taints": ["gpu=yes:NoSchedule"]}
            {name: small, capacity: {cpu: 500m}}
        """
    )
    found = settings(runs)["nodes"]
    assert isinstance(found, list)
    assert [node["name"] for node in found] == ["gpu-1", "small", "node-3"]
    assert found[0]["taints"] == [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]
    assert found[1]["capacity"] == {"cpu": "500m", "memory": "256Gi", "pods": "110"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{name: [", "vcluster_node, line 1: *is neither JSON nor YAML*"),
        ("{name: A_B}", "*node 1 is called 'A_B'; allowed: *"),
        ("{nam: x}", "*node 1 has the field 'nam'; allowed: name, labels, taints, capacity"),
        ("{taints: ['x']}", "*a taint of node 'node-1' is 'x'; allowed: *NoExecute"),
    ],
)
def test_a_wrong_node_in_ini_stops_the_run(runs: Runs, line: str, message: str) -> None:
    runs.pytester.makeini(f"[pytest]\nvcluster_node =\n  {line}\n")
    result = runs.test("")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


def test_fewer_nodes_than_described_are_refused(runs: Runs) -> None:
    runs.pytester.makeini("[pytest]\nvcluster_node =\n  {}\n  {}\n")
    result = runs.test("", "--vcluster-nodes=1")
    result.stderr.fnmatch_lines(["ERROR: --vcluster-nodes 1 *is fewer than the 2 nodes that vcluster_node describes*"])


def test_help_works_with_wrong_options(runs: Runs) -> None:
    result = runs.test("", "--vcluster-host=foo", "--help")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*--vcluster-evidence*", "*PYTEST_VCLUSTER_EVIDENCE*"])


def test_the_header_speaks_to_projects_that_said_something(runs: Runs) -> None:
    runs.test("", "--vcluster-pool=3").stdout.fnmatch_lines(["vcluster: host embedded, Kubernetes v1.36.4, pool of 3"])
    runs.test("").stdout.no_fnmatch_line("vcluster:*")


def test_a_kind_configuration_that_is_none_stops_the_run(runs: Runs) -> None:
    (runs.path / "kind.yaml").write_text("nodes:\n- role: boss\n")
    result = runs.test("", "--vcluster-host=kind", "--vcluster-kind-config=kind.yaml")
    result.stderr.fnmatch_lines(["ERROR: --vcluster-kind-config: */kind.yaml, line 2: a node has a role, *"])


def test_a_name_of_clusters_that_end_with_their_run_is_not_reused(runs: Runs) -> None:
    result = runs.test("", "--vcluster-host=kind", "--vcluster-reuse=pytest-vcluster-1")
    result.stderr.fnmatch_lines(["ERROR: --vcluster-reuse 'pytest-vcluster-1': *"])
