"""The command `pytest-vcluster`: what works here, binaries ahead of time, and clusters for a human.

The one rule: a command prints what a person wants to read, and for what a script wants (a path) nothing else; errors
go to stderr and end with status 1.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_vcluster.errors import HostError, ProvisionError, SettingsError, VClusterError
from pytest_vcluster.nodes import parse_nodes
from pytest_vcluster.settings import DEFAULT_NODES, HOSTS, Settings
from pytest_vcluster.toolchain.versions import DEFAULT_MINOR, resolve_version

if TYPE_CHECKING:
    from pytest_vcluster.service.client import Kept, RunStatus

DOWN_SECONDS = 60.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except VClusterError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pytest-vcluster", description="Kubernetes clusters for tests, and for you.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

    doctor = command("doctor", _doctor, "tell what works on this machine, what doesn't, and how to fix it")
    doctor.add_argument(
        "versions", nargs="*", metavar="VERSION", help=f"Kubernetes versions (default: {DEFAULT_MINOR})"
    )
    for_host = f"what a run on this host needs (default: {HOSTS[0]})"
    doctor.add_argument("--host", choices=HOSTS, default=HOSTS[0], help=for_host)
    fetch = command("fetch", _fetch, "have the binaries of Kubernetes versions ahead of time")
    fetch.add_argument("versions", nargs="*", metavar="VERSION", help=f"Kubernetes versions (default: {DEFAULT_MINOR})")
    fetch.add_argument("--host", choices=HOSTS, default=HOSTS[0], help=for_host)
    fetch.add_argument("--offline", action="store_true", help="only tell what is missing")
    command(
        "list", _list, "list the clusters on this machine that stand until `down`: started by `up`, or kept by a run"
    )
    up = command("up", _up, "start a cluster for you, which stands until `down`")
    up.add_argument("version", nargs="?", default=DEFAULT_MINOR, help=f"Kubernetes version (default: {DEFAULT_MINOR})")
    up.add_argument("--nodes", type=int, help=f"simulated nodes (default: {len(DEFAULT_NODES)})")
    up.add_argument("--timeout", type=float, default=60.0, help="seconds to wait for the cluster (default: 60)")
    up.add_argument("--offline", action="store_true", help="never use the network for a missing binary")
    kubeconfig = command("kubeconfig", _kubeconfig, "print the path of a cluster's kubeconfig")
    kubeconfig.add_argument("name", nargs="?", help="cluster or run (default: the only one)")
    down = command("down", _down, "end a cluster that `up` started, or a run with kept clusters")
    down.add_argument("name", nargs="?", help="cluster or run (default: the only one)")
    sweep = command("sweep", _sweep, "remove what dead runs left behind; never anything of a live one")
    sweep.add_argument("--kubeconfig", type=Path, help="on the host of this file, instead of on this machine")
    sweep.add_argument("--context", help="that host's context")
    sweep.add_argument("--namespace", help="that host's namespace (default: the context's)")
    baselines = command("baselines", _baselines, "list the baselines that are kept for later runs, or drop them")
    baselines.add_argument("--drop", action="store_true", help="drop them; the next run lays what it needs anew")
    baselines.add_argument("names", nargs="*", metavar="NAME", help="only these (default: all)")
    image = command("image", _image, "build the syncer's image, which virtual clusters in pods need, with Docker")
    image.add_argument("--tag", help="what it is called (default: the name that the chart asks for)")
    report = command("report", _report, "print what a report page (--vcluster-report) says")
    report.add_argument("file", type=Path)
    return parser


def _doctor(arguments: argparse.Namespace) -> int:
    from pytest_vcluster.doctor import State, examine_machine  # noqa: PLC0415 - each command loads its own

    bad = 0
    for finding in examine_machine(os.environ, versions=_versions(arguments), host=arguments.host):
        print(finding)
        bad += finding.state is State.BAD
    print("all well" if not bad else f"{bad} thing(s) to fix")
    return 1 if bad else 0


def _fetch(arguments: argparse.Namespace) -> int:
    from pytest_vcluster.doctor import binaries_of  # noqa: PLC0415 - each command loads its own
    from pytest_vcluster.toolchain import Sources, obtain  # noqa: PLC0415

    wanted = [each for version in _versions(arguments) for each in binaries_of([version], host=arguments.host)]
    sources = Sources.from_environ(os.environ, offline=arguments.offline)
    binaries = obtain(list(dict.fromkeys(wanted)), sources, progress=lambda text: print(text, flush=True))
    for binary in binaries:
        print(f"{binary.component} {binary.version} ({binary.source}): {binary.path}")
    return 0


def _list(_: argparse.Namespace) -> int:
    for run, kept in _kept():
        print(f"{kept.cluster:<12} {kept.version:<10} {run.id:<10} {kept.kubeconfig}")
    return 0


def _up(arguments: argparse.Namespace) -> int:
    from pytest_vcluster.service import client  # noqa: PLC0415 - each command loads its own

    version = resolve_version(arguments.version)
    settings = Settings(
        versions=(version,),
        nodes=DEFAULT_NODES if arguments.nodes is None else parse_nodes(arguments.nodes),
        timeout=arguments.timeout,
        offline=arguments.offline,
    )
    request = client.LeaseRequest(
        version=version,
        isolation=settings.isolation,
        nodes=settings.nodes,
        holder="pytest-vcluster up",
        expected={version: 1},
        on_host=True,
    )
    run = client.Run.of_controller()
    try:
        lease = client.open_lease(run, settings, request, timeout=settings.timeout, on_progress=_tell)
        # Kept, the cluster and what it needs outlive this process, until `down`.
        lease.release(keep=True)
        client.keep(run)
    except BaseException:
        client.shut_down(run, timeout=DOWN_SECONDS)
        raise
    if lease.kept is None:
        client.shut_down(run, timeout=DOWN_SECONDS)
        message = f"{lease.grant.cluster} could not be kept: it died, or too little memory is free."
        raise ProvisionError(message)
    _tell(f"{lease.kept.cluster} ({lease.kept.version}) is up until: pytest-vcluster down {lease.kept.cluster}")
    print(f"export KUBECONFIG={lease.kept.kubeconfig}")
    return 0


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _kept() -> list[tuple[RunStatus, Kept]]:
    from pytest_vcluster.service import client  # noqa: PLC0415 - each command loads its own

    return [(run, kept) for run in client.list_runs() for kept in run.kept]


def _find(name: str | None) -> list[tuple[RunStatus, Kept]]:
    there = _kept()
    found = [(run, kept) for run, kept in there if name in (kept.cluster, run.id) or (name is None and len(there) == 1)]
    if not found:
        names = ", ".join(kept.cluster for _, kept in there) or "none"
        message = f"no kept cluster is meant by {name or 'no name at all'}; there: {names}"
        raise SettingsError(message)
    return found


def _kubeconfig(arguments: argparse.Namespace) -> int:
    for _, kept in _find(arguments.name):
        print(kept.kubeconfig)
    return 0


def _down(arguments: argparse.Namespace) -> int:
    from pytest_vcluster.service import client  # noqa: PLC0415 - each command loads its own

    for run, kept in _find(arguments.name):
        client.end_kept(run.directory, cluster=kept.cluster, timeout=DOWN_SECONDS)
        print(f"{kept.cluster} ended")
    return 0


def _sweep(arguments: argparse.Namespace) -> int:
    if arguments.kubeconfig or arguments.context or arguments.namespace:
        return _sweep_host(arguments)
    from pytest_vcluster.service import client  # noqa: PLC0415 - each command loads its own

    for directory in client.sweep():
        print(f"removed {directory}")
    if shutil.which("docker") is None:
        return 0
    from pytest_vcluster.service.strays import sweep_clusters  # noqa: PLC0415

    try:
        removed = sweep_clusters()
    except HostError as silent:
        # Whoever has the program but never starts it has swept all there is: a remark, no failure.
        print(f"kind clusters were not looked for, as Docker does not answer: {silent}", file=sys.stderr)
        return 0
    for directory in removed:
        print(f"removed the kind cluster of run {directory.name}")
    return 0


def _sweep_host(arguments: argparse.Namespace) -> int:
    from pytest_vcluster.hosts.in_cluster import existing  # noqa: PLC0415 - each command loads its own

    if not (arguments.kubeconfig and arguments.context):
        raise SettingsError("A host is swept only where both were named: --kubeconfig and --context.")
    for name in existing.swept(arguments.kubeconfig, arguments.context, arguments.namespace):
        print(f"removed {name}")
    return 0


def _baselines(arguments: argparse.Namespace) -> int:
    from pytest_vcluster.hosts.baselines import cached  # noqa: PLC0415 - each command loads its own
    from pytest_vcluster.toolchain import Sources  # noqa: PLC0415

    there = list(cached(Sources.from_environ(os.environ, offline=True).cache))
    unknown = set(arguments.names) - {kept.path.stem for kept in there}
    if unknown:
        message = (
            f"no baseline is named {', '.join(sorted(unknown))}; `pytest-vcluster baselines` lists those there are"
        )
        raise SettingsError(message)
    for kept in there:
        if arguments.names and kept.path.stem not in arguments.names:
            continue
        if arguments.drop:
            kept.path.unlink(missing_ok=True)
        done = "dropped " if arguments.drop else ""
        print(f"{done}{kept.path.stem}  {kept.version}  {kept.size >> 10} kB  {kept.about}")
    return 0


def _image(arguments: argparse.Namespace) -> int:
    from pytest_vcluster.images import syncer  # noqa: PLC0415 - each command loads its own

    # A run asks for exactly what is installed, the chart for its version.
    tag, *others = [arguments.tag] if arguments.tag else [syncer.default_tag(), syncer.tag_of_installed()]
    syncer.build(tag, *others, environ=os.environ, progress=_tell)
    print(tag)
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from pytest_vcluster.report.page import read_page  # noqa: PLC0415 - each command loads its own
    from pytest_vcluster.summary import spell, summary_lines  # noqa: PLC0415

    try:
        rows, totals = read_page(arguments.file)
    except (OSError, ValueError) as error:
        message = f"{arguments.file} can't be read as a report: {error}"
        raise SettingsError(message) from error
    for row in rows:
        for cluster in row["clusters"]:
            evidence = f"  evidence: {cluster['evidence']}" if cluster["evidence"] else ""
            print(f"{row['outcome']:<8} {cluster['version']:<9} {spell(cluster['waited']):>7}  {row['test']}{evidence}")
    for line in summary_lines(totals):
        print(line)
    return 0


def _versions(arguments: argparse.Namespace) -> Sequence[str]:
    return list(dict.fromkeys(resolve_version(version) for version in arguments.versions or [DEFAULT_MINOR]))
