"""What happens when a test that has a cluster fails: evidence, the reason if a component died, a way to look inside.

The one rule: the test's own error stays what the reader sees first; everything here is added to it, and nothing that
goes wrong here may replace it.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_vcluster.errors import ComponentDied
from pytest_vcluster.leases import BOOK, Held, backend_of

if TYPE_CHECKING:
    import pytest

    from pytest_vcluster.service.client import Death

SECTION = "vcluster"
ATTRIBUTE = "vcluster"
"""Attribute of a report that carries its clusters, as plain data, from a worker to the controller."""


def examine(item: pytest.Item, report: pytest.TestReport) -> None:
    """Complete the report of one phase of a test by what is known of its clusters."""
    book = item.config.stash[BOOK]
    leases = book.of(item) if book.used else []
    if not leases:
        return
    if report.passed and report.when != "setup":
        blame(report, item, leases)
    if report.failed:
        for held in leases:
            if held.open:
                take_evidence(item, held)
            held.speculative = False
        texts = [section(held, run_id=backend_of(item.config).run_id) for held in leases]
        # Collecting takes a moment, in which a death that the test stumbled over may have become known.
        deaths = [death for held in leases for death in held.seen_deaths()]
        if deaths and book.blame_once(item):
            texts.insert(0, death_text(deaths))
        report.sections.append((SECTION, "\n\n".join(texts)))
    elif report.when == "call":
        for held in leases:
            drop_speculative(held)
    setattr(report, ATTRIBUTE, [record(held, failed=report.failed) for held in leases])


def blame(report: pytest.TestReport, item: pytest.Item, leases: Sequence[Held]) -> None:
    """Turn a passed report into a failed one if a component died: what the test saw was a broken cluster."""
    deaths = [death for held in leases for death in held.seen_deaths()]
    if deaths and item.config.stash[BOOK].blame_once(item):
        report.outcome = "failed"
        report.longrepr = death_text(deaths)


def death_text(deaths: Sequence[Death]) -> str:
    """One `ComponentDied` after the other, as text."""
    unique = {(death.component, death.status): death for death in deaths}
    errors = [
        ComponentDied(death.component, status=death.status, log=Path(death.log) if death.log else None, tail=death.tail)
        for death in unique.values()
    ]
    return "\n".join(f"{type(error).__name__}: {error}" for error in errors)


def slug(nodeid: str) -> str:
    """A folder name for a test: readable, short, and different for different tests."""
    readable = re.sub(r"[^A-Za-z0-9._]+", "-", nodeid).strip("-.")
    parameters = nodeid.partition("[")[2].removesuffix("]")
    # Of these, nothing was replaced or stripped.
    plain = "[" not in nodeid or re.fullmatch(r"([A-Za-z0-9._]+-)*[A-Za-z0-9._]*[A-Za-z0-9_]", parameters)
    if plain and len(readable) <= 100:
        return readable
    return f"{readable[:80]}-{hashlib.sha256(nodeid.encode()).hexdigest()[:8]}"


def take_evidence(item: pytest.Item, held: Held, *, speculative: bool = False) -> None:
    """Collect evidence of the held cluster for a failed `item`; what goes wrong is noted in the evidence itself."""
    book = item.config.stash[BOOK]
    if book.evidence_root is None:
        return
    held.speculative = speculative
    held.keep = held.keep or book.settings.keep == "on-failure"
    try:
        leases = book.of(item)
        of_test = book.evidence_root() / slug(item.nodeid)
        if not any(other.evidence and of_test in (other.evidence, *other.evidence.parents) for other in leases):
            shutil.rmtree(of_test, ignore_errors=True)  # of an earlier run
        held.evidence = of_test / held.cluster.name if len(leases) > 1 else of_test
        held.evidence.mkdir(parents=True, exist_ok=True)
        copy = held.evidence / "kubeconfig"
        copy.touch(mode=0o600)
        copy.write_bytes(held.cluster.kubeconfig.read_bytes())
        backend_of(item.config).collect(held.cluster, held.evidence)
    except Exception as error:  # the test's own error must be what is reported
        held.evidence_problem = f"{type(error).__name__}: {error}"


def drop_speculative(held: Held) -> None:
    """Remove evidence of a test that passed after all."""
    if held.speculative and held.evidence is not None:
        shutil.rmtree(held.evidence, ignore_errors=True)
        held.evidence, held.speculative = None, False


def section(held: Held, *, run_id: str) -> str:
    """What the report of a failed test says about one of its clusters."""
    lines = [f"{held.cluster.name} ({held.version}, fixture {held.fixture})"]
    if held.evidence is None:
        return f"{lines[0]}: ended before the test failed, so there is no evidence of it"
    lines.append(f"Evidence: {held.evidence}")
    if held.evidence_problem:
        lines.append(f"The evidence is incomplete: {held.evidence_problem}")
    lines.append(f"export KUBECONFIG={access(held)}")
    if held.keep:
        lines.append(f"The cluster is kept until you end it: pytest-vcluster down {run_id}")
    else:
        lines.append("The cluster ends with the test; --vcluster-keep on-failure keeps it for you.")
    return "\n".join(lines)


def access(held: Held) -> Path:
    """The kubeconfig for the reader of a report: the copy within the evidence where there is one."""
    copy = held.evidence / "kubeconfig" if held.evidence is not None else None
    return copy if copy is not None and copy.is_file() else held.cluster.kubeconfig


def record(held: Held, *, failed: bool) -> Mapping[str, Any]:
    """One cluster of a test as plain data, for the summary and the report page."""
    return {
        "cluster": held.cluster.name,
        "version": held.version,
        "fixture": held.fixture,
        "waited": held.lease.grant.waited_seconds,
        "evidence": str(held.evidence) if failed and held.evidence else None,
        "kept": held.keep,
        "kubeconfig": str(access(held)),
    }
