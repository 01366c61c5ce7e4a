"""The hooks through which pytest knows this plugin.

The one rule: hooks only, each a few lines that call somebody else, and cheap: every pytest run of every project that
has the plugin installed imports this module, so it pulls in nothing that a run without clusters doesn't need.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

from pytest_vcluster import workers
from pytest_vcluster.errors import SettingsError
from pytest_vcluster.fixtures import (
    lead_to_a_cluster,
    vcluster,
    vcluster_baseline,
    vcluster_factory,
    vcluster_host,
    vcluster_module,
    vcluster_session,
    vcluster_version,
)
from pytest_vcluster.options import SETTINGS, add_options, is_configured, resolve_settings
from pytest_vcluster.settings import Settings

__all__ = [
    "vcluster",
    "vcluster_baseline",
    "vcluster_factory",
    "vcluster_host",
    "vcluster_module",
    "vcluster_session",
    "vcluster_version",
]

MARKER_LINE = (
    "vcluster(version=None, crds=(), manifests=(), isolation='recycle'|'fresh', containers=False, nodes=None): "
    "what a test wants of its cluster: one Kubernetes version, definitions and objects that are there before it starts "
    "(paths or globs), a cluster nobody had before, real containers, simulated nodes."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and their ini twins."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Resolve the settings, or refuse to start."""
    config.addinivalue_line("markers", MARKER_LINE)
    if workers.is_worker(config):
        config.stash[SETTINGS] = Settings.from_json(workers.given_to_worker(config)["settings"])
    elif not config.getoption("help", default=False):
        try:
            config.stash[SETTINGS] = resolve_settings(config)
        except SettingsError as error:
            raise pytest.UsageError(str(error)) from error


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what clusters will be like, to projects that said anything about clusters."""
    settings = config.stash.get(SETTINGS, None)
    if settings is None or not is_configured(config):
        return None
    pool = f", pool of {settings.pool}" if settings.pool else ""
    return f"vcluster: host {settings.host}, Kubernetes {', '.join(settings.versions)}{pool}"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker which run it is part of."""
    from pytest_vcluster.leases import backend_of  # noqa: PLC0415 - start-up time
    from pytest_vcluster.running import activate  # noqa: PLC0415 - start-up time

    config: pytest.Config = node.config
    activate(config)
    node.workerinput[workers.INPUT] = {
        "settings": config.stash[SETTINGS].to_json(),
        "run": dict(backend_of(config).to_json()),
    }


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """End the run as a usage error if a worker found one while collecting."""
    wrong = getattr(node, "workeroutput", {}).get(workers.OUTPUT)
    if wrong:
        raise pytest.UsageError(wrong)


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Start no more workers by `-n auto` than there is memory for their clusters."""
    found = yield
    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return found
    return workers.affordable(found, free_bytes=workers.free_memory_bytes())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests once per Kubernetes version."""
    if lead_to_a_cluster(metafunc.fixturenames):
        from pytest_vcluster.collection import parametrize  # noqa: PLC0415 - start-up time

        parametrize(metafunc)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Check all markers before anything starts, and count the clusters to come."""
    items = [
        item
        for item in session.items
        if lead_to_a_cluster(getattr(item, "fixturenames", ())) or item.get_closest_marker("vcluster")
    ]
    if not items:
        return
    from pytest_vcluster.collection import prepare  # noqa: PLC0415 - start-up time

    try:
        prepare(items, session.config)
    except SettingsError as error:
        if not workers.is_worker(session.config):
            raise pytest.UsageError(str(error)) from error
        # xdist would show a worker's usage error as a crash; the controller raises it instead.
        output: dict[str, Any] = session.config.workeroutput  # type: ignore[attr-defined] # xdist puts it there
        output[workers.OUTPUT] = str(error)
        raise session.Failed(str(error)) from error
