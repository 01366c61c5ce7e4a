"""What can be known once pytest has collected: wrong markers, tests to skip, and how many clusters it will take.

The one rule: everything a marker can be wrong about is found here, in every selected test at once, before the first
test runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pytest

from pytest_vcluster.errors import SettingsError
from pytest_vcluster.leases import wish_at
from pytest_vcluster.marker import MARKER, pinned_version
from pytest_vcluster.options import SETTINGS
from pytest_vcluster.running import activate

if TYPE_CHECKING:
    from pytest_vcluster.settings import Settings

REAL_CONTAINERS = ("kind", "existing")
"""Hosts whose pods run real containers."""

OF_ONE_CLUSTER = ("crds", "manifests", "isolation", "nodes")
"""Arguments of the marker that say what a cluster is like; the others choose it, or skip the test."""

INSTEAD = {
    "vcluster_module": "say it in a pytestmark of the module, or use the fixture vcluster",
    "vcluster_session": "use the fixture vcluster, or vcluster_factory",
}
"""What to do where a test wishes something of a shared cluster."""


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Run a test once per version of the run, or on the one version that its marker pins."""
    marks = [(mark.args, mark.kwargs) for mark in metafunc.definition.iter_markers(MARKER)]
    pinned = pinned_version(marks)
    asked = metafunc.config.stash[SETTINGS].versions
    versions = (pinned,) if pinned else asked
    if pinned or len(asked) > 1:
        metafunc.parametrize("vcluster_version", versions, ids=versions, indirect=True, scope="session")


def prepare(items: Sequence[pytest.Item], config: pytest.Config) -> None:
    """Make a run ready for the clusters of `items`; raises `SettingsError` when their markers are wrong."""
    settings = config.stash[SETTINGS]
    book = activate(config)
    check_markers(items)
    skip_without_containers(items, host=settings.host)
    book.expected = expected_leases(items, settings)


def check_markers(items: Sequence[pytest.Item]) -> None:
    """Raise one `SettingsError` with everything that is wrong with the markers of `items`."""
    wrong: dict[str, None] = {}
    for item in items:
        module = item.getparent(pytest.Module)
        shared = "vcluster_module" in getattr(item, "fixturenames", ())
        for node in (item, module) if shared and module is not None else (item,):
            try:
                wish_at(node)
            except SettingsError as error:
                wrong[str(error)] = None
        if vain := _in_vain(item):
            wrong[vain] = None
    if wrong:
        raise SettingsError("\n".join(wrong))


def _in_vain(item: pytest.Item) -> str:
    """What is wrong with a test's own marker that asks for something of a cluster which other tests use as well."""
    names = getattr(item, "fixturenames", ())
    shared = next((fixture for fixture in INSTEAD if fixture in names), None)
    if shared is None or "vcluster" in names:
        return ""
    given = [name for mark in item.own_markers if mark.name == MARKER for name in mark.kwargs if name in OF_ONE_CLUSTER]
    if not given:
        return ""
    return (
        f"@pytest.mark.{MARKER} of {item.nodeid}: {', '.join(dict.fromkeys(given))} can't be had for one test of "
        f"{shared}, which other tests use too; {INSTEAD[shared]}"
    )


def skip_without_containers(items: Sequence[pytest.Item], *, host: str) -> None:
    """Skip tests that need real containers when the host only simulates them."""
    if host in REAL_CONTAINERS:
        return
    reason = (
        f"needs real containers (containers=True), which --vcluster-host {host} only simulates; "
        f"hosts that have them: {', '.join(REAL_CONTAINERS)}"
    )
    for item in items:
        if wish_at(item).containers:
            item.add_marker(pytest.mark.skip(reason=reason))


def expected_leases(items: Sequence[pytest.Item], settings: Settings) -> Mapping[str, int]:
    """How many leases of each version the `items` will ask for in all; a factory counts as one a test."""
    leases: set[tuple[str, str, str]] = set()
    for item in items:
        if wish_at(item).containers and settings.host not in REAL_CONTAINERS:
            continue
        names = getattr(item, "fixturenames", ())
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        version = parameters.get("vcluster_version", settings.versions[0])
        module = item.getparent(pytest.Module)
        owners = {
            "vcluster": item.nodeid,
            "vcluster_factory": item.nodeid,
            "vcluster_module": module.nodeid if module is not None else item.nodeid,
            "vcluster_session": "",
        }
        leases.update((fixture, owner, version) for fixture, owner in owners.items() if fixture in names)
    return dict(Counter(version for _, _, version in sorted(leases)))
