"""Every option of the plugin: where it may be given, what it may hold, and the `Settings` that result.

An option is given on the command line, in the environment or in the ini file, and the first of these wins. The one
rule: whatever is wrong is found here, before anything starts, all of it at once, and told in the user's own words: the
option as they typed it, the value they gave, and what would have been right.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest

from pytest_vcluster import option_values
from pytest_vcluster.errors import SettingsError
from pytest_vcluster.option_values import Given
from pytest_vcluster.settings import DEFAULT_NODES, HOSTS, ISOLATION_MODES, KEEPS, NodeShape, Settings

SETTINGS = pytest.StashKey[Settings]()
"""Where a run's settings are, in `config.stash`."""

OF_KIND = ("reuse", "kind_config", "kind_image")
"""Settings that mean something with `--vcluster-host kind` only."""

IN_PODS = ("namespace", "syncer_image")
"""Settings that mean something where virtual clusters are pods of a host cluster."""


class Option(NamedTuple):
    """One option: its name without the `vcluster` prefix, its help, and what turns its text into a value."""

    name: str
    help: str
    metavar: str
    parse: Callable[[Given], object]

    @property
    def flag(self) -> str:
        """The option on the command line."""
        return f"--vcluster-{self.name.replace('_', '-')}"

    @property
    def ini(self) -> str:
        """The option in the ini file, and its name within pytest."""
        return f"vcluster_{self.name}"

    @property
    def variable(self) -> str:
        """The option in the environment."""
        return f"PYTEST_VCLUSTER_{self.name.upper()}"


def add_options(parser: pytest.Parser) -> None:
    """Tell pytest about all options and their ini twins."""
    group = parser.getgroup("vcluster", "a Kubernetes cluster for every test (pytest-vcluster)")
    for option in OPTIONS:
        text = f"{option.help} (ini: {option.ini}; environment: {option.variable})"
        if option.parse is option_values.switch:
            group.addoption(option.flag, dest=option.ini, action="store_const", const="true", help=text)
            parser.addini(option.ini, help=option.help, default=None, type="bool")
        else:
            group.addoption(option.flag, dest=option.ini, metavar=option.metavar, help=text)
            parser.addini(option.ini, help=option.help, default=None, type="string")
    parser.addini(
        "vcluster_node",
        help="simulated nodes, each a line of JSON or YAML with name, labels, taints and capacity (all optional)",
        type="linelist",
    )


def resolve_settings(config: pytest.Config, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this run; raises one `SettingsError` that lists everything that is wrong with them."""
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for option in OPTIONS:
        try:
            given = _given(option, config, environ)
            if given is not None:
                values[option.name] = option.parse(given)
        except SettingsError as error:
            wrong.append(str(error))
    try:
        nodes = _nodes(values.pop("nodes", None), config.getini("vcluster_node"))
    except SettingsError as error:
        wrong.append(str(error))
        nodes = DEFAULT_NODES
    if "version" in values:
        values["versions"] = values.pop("version")
    if wrong:
        raise SettingsError("\n".join(wrong))
    settings = Settings(nodes=nodes, **values)
    _check_host(settings)
    return settings


def is_configured(config: pytest.Config, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether anybody gave any of the options: a project that does is likely to use the plugin."""
    given = any(_given(option, config, environ) is not None for option in OPTIONS)
    return given or bool(config.getini("vcluster_node"))


def _given(option: Option, config: pytest.Config, environ: Mapping[str, str]) -> Given | None:
    typed = config.getoption(option.ini, default=None)
    if typed is not None:
        return Given(text=str(typed), origin=option.flag, base=config.invocation_params.dir)
    if environ.get(option.variable):
        return Given(text=environ[option.variable], origin=option.variable, base=config.invocation_params.dir)
    base = config.inipath.parent if config.inipath else config.rootpath
    origin = f"{option.ini} in {config.inipath.name if config.inipath else 'the ini file'}"
    try:
        written = config.getini(option.ini)
    except (ValueError, TypeError, pytest.UsageError) as error:
        message = f"{origin}: {error}. Allowed: {option.metavar}."
        raise SettingsError(message) from error
    return None if written is None or written == "" else Given(text=str(written), origin=origin, base=base)


def _check_host(settings: Settings) -> None:
    """Refuse combinations: a host cluster is only ever the one that was named, never an ambient one."""
    if settings.context and not settings.kubeconfig:
        message = (
            f"--vcluster-context {settings.context!r} without --vcluster-kubeconfig: name the file that holds this "
            "context; the plugin never reads KUBECONFIG or ~/.kube/config on its own."
        )
        raise SettingsError(message)
    if settings.host == "existing" and not settings.context:
        message = (
            "--vcluster-host existing without --vcluster-context: name the context of the host cluster, and with "
            "--vcluster-kubeconfig the file that holds it; the ambient current context is never used."
        )
        raise SettingsError(message)
    if settings.kubeconfig and settings.host != "existing":
        message = (
            f"--vcluster-kubeconfig names a host cluster, but --vcluster-host is {settings.host!r}, which makes its "
            "own. Leave the kubeconfig out, or say --vcluster-host existing."
        )
        raise SettingsError(message)
    for names, hosts in ((OF_KIND, ("kind",)), (IN_PODS, ("kind", "existing"))):
        for name in names:
            if getattr(settings, name) is not None and settings.host not in hosts:
                message = (
                    f"--vcluster-{name.replace('_', '-')} is for --vcluster-host {' or '.join(hosts)}, but the host is "
                    f"{settings.host!r}. Leave it out, or choose such a host."
                )
                raise SettingsError(message)
    if settings.reuse or settings.kind_config:
        from pytest_vcluster.hosts.kind.asked import check  # noqa: PLC0415 - start-up time

        check(settings)


def _nodes(count: int | None, lines: list[str]) -> tuple[NodeShape, ...]:
    """Nodes described line by line, filled up with plain ones to `count`."""
    described = [_node_line(line, number=number) for number, line in enumerate(lines, start=1) if line]
    if count is not None and count < len(described):
        message = (
            f"--vcluster-nodes {count} (ini: vcluster_nodes) is fewer than the {len(described)} nodes that "
            "vcluster_node describes. Ask for as many or more, or describe fewer."
        )
        raise SettingsError(message)
    if not described and count is None:
        return DEFAULT_NODES
    from pytest_vcluster.nodes import parse_nodes  # noqa: PLC0415 - start-up time

    if not described:
        return parse_nodes(count)
    plain: list[object] = [{}] * ((count or 0) - len(described))
    return parse_nodes([*described, *plain])


def _node_line(line: str, *, number: int) -> object:
    try:
        return json.loads(line)
    except ValueError:
        import yaml  # noqa: PLC0415 - heavy, and only projects that describe nodes in YAML need it
    try:
        return yaml.safe_load(line)
    except yaml.YAMLError as error:
        message = (
            f"vcluster_node, line {number}: {line!r} is neither JSON nor YAML ({error.__class__.__name__}: {error})."
        )
        raise SettingsError(message) from error


OPTIONS = (
    Option(name="host", metavar="|".join(HOSTS), help="where pods run", parse=option_values.one_of(*HOSTS)),
    Option(
        name="version",
        metavar="1.36[,1.37]",
        help="Kubernetes versions to run every test on",
        parse=option_values.versions,
    ),
    Option(
        name="kubeconfig",
        metavar="FILE",
        help="kubeconfig of an existing host cluster",
        parse=option_values.readable_file("a kubeconfig file"),
    ),
    Option(
        name="context",
        metavar="NAME",
        help="context of the host cluster within its kubeconfig",
        parse=option_values.text,
    ),
    Option(
        name="isolation",
        metavar="|".join(ISOLATION_MODES),
        help="whether a test's cluster may be one put back to pristine, or is always a new one",
        parse=option_values.one_of(*ISOLATION_MODES),
    ),
    Option(
        name="keep",
        metavar="|".join(KEEPS),
        help="which tests' clusters to keep for you",
        parse=option_values.one_of(*KEEPS),
    ),
    Option(
        name="evidence",
        metavar="DIR",
        help="folder for what a failed test leaves: objects, events, logs (default: pytest's temporary folder)",
        parse=option_values.folder,
    ),
    Option(
        name="pool", metavar="N", help="clusters at once (default: by cores and free memory)", parse=option_values.count
    ),
    Option(
        name="timeout",
        metavar="S",
        help="seconds that any one wait may take (default: 60)",
        parse=option_values.seconds,
    ),
    Option(
        name="report", metavar="FILE.html", help="write a report of tests and clusters", parse=option_values.new_file
    ),
    Option(
        name="offline", metavar="yes|no", help="never use the network for a missing binary", parse=option_values.switch
    ),
    Option(name="nodes", metavar="N", help="simulated nodes of every cluster (default: 3)", parse=option_values.count),
    Option(
        name="namespace",
        metavar="NAME",
        help="namespace of the host cluster to make everything in",
        parse=option_values.label,
    ),
    Option(
        name="reuse",
        metavar="NAME",
        help="kind cluster to share with other runs and leave behind",
        parse=option_values.label,
    ),
    Option(
        name="kind_config",
        metavar="FILE",
        help="kind configuration to add: nodes, patches",
        parse=option_values.readable_file("a kind configuration file"),
    ),
    Option(
        name="kind_image",
        metavar="IMAGE",
        help="node image of the kind cluster (default: kind's)",
        parse=option_values.text,
    ),
    Option(
        name="syncer_image",
        metavar="IMAGE",
        help="image of the syncer (default: that of this version, built where it is missing)",
        parse=option_values.text,
    ),
    Option(
        name="sync",
        metavar="to_host.ingresses[,...]",
        help="what else virtual clusters share with their host, by the syncer's switches",
        parse=option_values.switches,
    ),
)
