"""A world without Kubernetes, for tests of the plugin: loaded as a plugin by the pytest runs that pytester starts.

Everything the plugin asks of it is a line in `world.jsonl` in the run's root folder, whatever process asked.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_vcluster.errors import ManifestError, ProvisionError
from pytest_vcluster.leases import BACKEND
from pytest_vcluster.service.steps import not_laid

if TYPE_CHECKING:
    from pytest_vcluster.backend import Backend


_TOLD = ("laid", "not laid")


@dataclass(frozen=True)
class FakeDeath:
    component: str
    status: str
    log: str
    tail: str


@dataclass
class FakeLease:
    world: World
    grant: Any
    fallen: list[FakeDeath] = field(default_factory=list)
    falling: list[FakeDeath] = field(default_factory=list)
    """Deaths that the run service tells with its answer to the release."""
    released: bool = False
    baseline: str = ""

    def laid(self) -> None:
        if os.environ.get("FAKE_TROUBLE") == "laid":
            raise ProvisionError("No baseline could be taken: still changing: configmaps/default/a")
        self.world.write("laid", cluster=self.grant.cluster, baseline=self.baseline)

    def not_laid(self, why: str) -> None:
        holder = next(line["holder"] for line in self.world.read() if line.get("cluster") == self.grant.cluster)
        self.world.write("not laid", cluster=self.grant.cluster, baseline=self.baseline, why=why, holder=holder)

    def deaths(self) -> list[FakeDeath]:
        return list(self.fallen)

    def release(self, *, keep: bool = False) -> None:
        if not self.released:
            self.released = True
            self.fallen += self.falling
            if not self.grant.laid:
                self.world.claim_of(self.baseline).unlink()  # who wants the same may lay it, if nobody has
            self.world.write("release", cluster=self.grant.cluster, keep=keep)


class FakeCluster:
    def __init__(self, world: World, lease: FakeLease) -> None:
        self.world, self.lease = world, lease
        self.name, self.version = lease.grant.cluster, lease.grant.version
        self.kubeconfig = Path(tempfile.mkdtemp(dir=world.folder)) / "kubeconfig"
        self.kubeconfig.write_text("kind: Config\n")
        self.objects: list[Mapping[str, Any]] = []

    def apply(self, documents: list[Any]) -> None:
        objects: list[Mapping[str, Any]] = [getattr(each, "object", each) for each in documents]
        for wanted in objects:
            if wanted["metadata"]["name"] == "refused":
                raise ManifestError("the API server says no: spec is wrong")
        self.objects += objects

    def kill(self, component: str, *, late: bool = False) -> None:
        """What a test calls to see a component of its cluster die."""
        deaths = self.lease.falling if late else self.lease.fallen
        deaths.append(FakeDeath(component, "killed by signal 9", "/logs/x.log", "its last words"))

    def close(self, *, keep_files: bool = False) -> None:
        self.world.write("close", cluster=self.name, keep_files=keep_files)


class World:
    run_id = "run-1"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, event: str, **facts: object) -> None:
        with (self.folder / "world.jsonl").open("a") as file:
            file.write(json.dumps({"event": event, "process": os.getpid(), **facts}) + "\n")

    def read(self) -> Iterator[Mapping[str, Any]]:
        path = self.folder / "world.jsonl"
        yield from map(json.loads, path.read_text().splitlines() if path.exists() else [])

    def to_json(self) -> Mapping[str, Any]:
        return {"id": self.run_id}

    def open_lease(self, *, version: str, nodes: Any, on_progress: Callable[[str], None], **wish: Any) -> FakeLease:
        if os.environ.get("FAKE_TROUBLE") == "open":
            raise ProvisionError("no cluster to be had")
        laid = not wish["baseline"] or self.is_laid(wish["baseline"])
        name = f"vc-{os.getpid()}-{sum(1 for _ in self.read())}"
        self.write("open", cluster=name, version=version, nodes=[node.name for node in nodes], **wish)
        lease = FakeLease(self, SimpleNamespace(cluster=name, version=version, waited_seconds=0.02, laid=laid))
        lease.baseline = wish["baseline"]
        return lease

    def claim_of(self, baseline: str) -> Path:
        return self.folder / f"{baseline}.claim"

    def is_laid(self, baseline: str) -> bool:
        """Wait while somebody else lays a baseline; whether it is laid, so that one doesn't have to do it."""
        while True:
            try:
                self.claim_of(baseline).touch(exist_ok=False)
                claimed = True
            except FileExistsError:
                claimed = False
            # Only now: who had the claim before may have told, and let go of it.
            told = [line for line in self.read() if line.get("baseline") == baseline and line["event"] in _TOLD]
            if claimed and not told:
                return False
            if claimed:
                self.claim_of(baseline).unlink()
            if told and told[0]["event"] == "laid":
                return True
            if told:
                raise not_laid(told[0]["holder"], told[0]["why"])
            time.sleep(0.005)

    def handle(self, lease: FakeLease) -> FakeCluster:
        return FakeCluster(self, lease)

    def collect(self, cluster: FakeCluster, directory: Path) -> None:
        self.write("collect", cluster=cluster.name)
        if os.environ.get("FAKE_TROUBLE") == "collect":
            raise OSError("no space left on device")
        (directory / "objects.yaml").write_text("kind: List\n")

    def host(self, *, on_progress: Callable[[str], None]) -> Mapping[str, Any]:
        self.write("host")
        return {"kind": "embedded", "version": "v1.36.4", "nodes": ["a", "b"], "kubeconfig": "/h", "url": "https://h"}

    def summary(self) -> Mapping[str, Any] | None:
        opened = [line for line in self.read() if line["event"] == "open"]
        return {
            "leases": len(opened),
            "fresh": len(opened),
            "recycled": 0,
            "retired": len(opened),
            "deaths": 0,
            "acquire_seconds": [0.02] * len(opened) + [1.5],
            "versions": sorted({line["version"] for line in opened}),
            "pool": 4,
            "peak": 3,
            "host": "embedded",
            "notes": ["pool reduced from 8 to 4: 2 GB free"],
        }

    def kept(self) -> Sequence[Any]:
        holders = {line["cluster"]: line["holder"] for line in self.read() if line["event"] == "open"}
        names = [line["cluster"] for line in self.read() if line["event"] == "release" and line["keep"]]
        if os.environ.get("FAKE_TROUBLE") == "keep":
            names = []
        return [
            SimpleNamespace(cluster=name, version="v1.36.4", holder=holders[name], kubeconfig=f"/run/{name}.kubeconfig")
            for name in names
        ]

    def detach(self) -> None:
        self.write("detach")

    def shut_down(self) -> Mapping[str, Any] | None:
        if os.environ.get("FAKE_TROUBLE") == "shut_down":
            raise ProvisionError("the run service does not answer")
        self.write("shut_down")
        return self.summary()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[BACKEND] = cast("Backend", World(config.rootpath))
