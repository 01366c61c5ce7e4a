"""Somebody who edits a virtual cluster at random, and a host that runs what it is given.

The one rule: all chance comes from one seed, which failures name.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from syncer_case import Case
from two_api_servers import NAMESPACES, SERVICE_ACCOUNTS, Api
from vcluster_syncer.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from vcluster_syncer.model import CONFIGMAPS, PODS, SECRETS, SERVICES, Resource

SPACES = ("default", "other")
_NAMES = tuple("abcdef")
_PODS = tuple(f"pod-{number}" for number in range(10))
_EXPECTED = (NotFound, AlreadyExists, Conflict)
"""What happens to somebody who edits without looking."""


class Editor:
    """Edits the virtual side of `case` and plays its host."""

    def __init__(self, case: Case, seed: int) -> None:
        self.done: list[str] = []
        self.calm = False
        """Whether what runs stays as it is."""
        self._case = case
        self._random = random.Random(seed)
        self._counter = 0

    async def prepare(self) -> None:
        """Make a second namespace; there is no namespace controller to end one."""
        with contextlib.suppress(AlreadyExists):
            await self._case.virtual.create(NAMESPACES, "", SPACES[1])
        with contextlib.suppress(AlreadyExists):
            await self._case.virtual.create(SERVICE_ACCOUNTS, SPACES[1], "default")

    async def edit(self, until: Callable[[], bool]) -> None:
        """Edit, several at a time, until told to end."""

        async def one_hand() -> None:
            while not until():
                edit = self._random.choice(self._edits)
                with contextlib.suppress(*_EXPECTED):
                    await edit()
                    self.done.append(edit.__name__)

        await asyncio.gather(*(one_hand() for _ in range(3)))

    async def play_host(self, until: Callable[[], bool]) -> None:
        """Be the scheduler and the kubelets, and now and then somebody on the host who should not be there."""
        while not until():
            with contextlib.suppress(KubeError):
                for pod in await self._case.host.list(PODS, self._case.name):
                    with contextlib.suppress(*_EXPECTED):
                        await self._run(pod)
            await asyncio.sleep(0.05)

    @property
    def _edits(self) -> Sequence[Callable[[], Awaitable[Any]]]:
        return (
            *(self.create_pod,) * 6,
            *(self.delete_pod,) * 3,
            self.recreate_pod,
            self.label_pod,
            self.create_config,
            self.change_config,
            self.delete_config,
            self.create_service,
            self.change_service,
            self.delete_service,
            self.delete_on_host,
            self.edit_on_host,
        )

    @property
    def _virtual(self) -> Api:
        return self._case.virtual

    def _space(self) -> str:
        return self._random.choice(SPACES)

    def _value(self) -> str:
        self._counter += 1
        return str(self._counter)

    async def create_pod(self, space: str = "", name: str = "") -> None:
        """Create a pod that uses some ConfigMaps and Secrets, whether they are there or not."""
        optional = {"optional": self._random.random() < 0.5}
        sources: list[dict[str, Any]] = [
            {"configMapRef": {"name": self._random.choice(_NAMES), **optional}},
            {"secretRef": {"name": self._random.choice(_NAMES), **optional}},
        ]
        volume = {"name": "v", "configMap": {"name": self._random.choice(_NAMES)}}
        container = {"name": "main", "image": f"registry.example/app:{self._value()}", "envFrom": sources}
        await self._virtual.create(
            PODS,
            space or self._space(),
            name or self._random.choice(_PODS),
            metadata={"labels": {"user-app": self._random.choice(_NAMES)}},
            spec={"containers": [container], "volumes": [volume], "terminationGracePeriodSeconds": 1},
        )

    async def delete_pod(self) -> None:
        """Delete a pod, with grace or by force."""
        grace = self._random.choice((0, None))
        await self._virtual.delete(PODS, self._space(), self._random.choice(_PODS), grace=grace)

    async def recreate_pod(self) -> None:
        """Delete a pod by force and have another one of its name at once."""
        space, name = self._space(), self._random.choice(_PODS)
        await self._virtual.delete(PODS, space, name, grace=0)
        await self.create_pod(space, name)

    async def label_pod(self) -> None:
        """Set a label of a pod, or take it away."""
        labels = {f"user-{self._random.choice(_NAMES)}": self._random.choice((None, self._value()))}
        await self._virtual.patch(PODS, self._space(), self._random.choice(_PODS), {"metadata": {"labels": labels}})

    async def create_config(self) -> None:
        """Create a ConfigMap or a Secret."""
        await self._virtual.create(self._config(), self._space(), self._random.choice(_NAMES), data={"a": "YQ=="})

    async def change_config(self) -> None:
        """Change a ConfigMap or a Secret."""
        data = {self._random.choice(("a", "b")): self._random.choice((None, "Yg==", "Yw=="))}
        await self._virtual.patch(self._config(), self._space(), self._random.choice(_NAMES), {"data": data})

    async def delete_config(self) -> None:
        """Delete a ConfigMap or a Secret."""
        await self._virtual.delete(self._config(), self._space(), self._random.choice(_NAMES))

    async def create_service(self) -> None:
        """Create a Service, of one sort or another."""
        spec: dict[str, Any] = {"selector": {"user-app": self._random.choice(_NAMES)}, "ports": [{"port": 80}]}
        if self._random.random() < 0.3:
            spec["clusterIP"] = "None"
        await self._virtual.create(SERVICES, self._space(), self._random.choice(_NAMES), spec=spec)

    async def change_service(self) -> None:
        """Change where a Service leads."""
        spec = {"ports": [{"port": self._random.randint(1, 60000)}]}
        await self._virtual.patch(SERVICES, self._space(), self._random.choice(_NAMES), {"spec": spec})

    async def delete_service(self) -> None:
        """Delete a Service."""
        await self._virtual.delete(SERVICES, self._space(), self._random.choice(_NAMES))

    async def delete_on_host(self) -> None:
        """Delete something on the host that the syncer made there."""
        resource = self._random.choice((CONFIGMAPS, SECRETS, SERVICES))
        found = await self._case.host.list(resource, self._case.name)
        if found:
            await self._case.host.delete(resource, self._case.name, self._random.choice(found)["metadata"]["name"])

    async def edit_on_host(self) -> None:
        """Change something on the host that the syncer made there."""
        found = await self._case.host.list(CONFIGMAPS, self._case.name)
        if found:
            name = self._random.choice(found)["metadata"]["name"]
            await self._case.host.patch(CONFIGMAPS, self._case.name, name, {"data": {"intruder": self._value()}})

    def _config(self) -> Resource:
        return self._random.choice((CONFIGMAPS, SECRETS))

    async def _run(self, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        if pod["metadata"].get("deletionTimestamp"):
            await self._case.host.delete(PODS, self._case.name, name, grace=0)
        elif not pod["spec"].get("nodeName"):
            await self._case.host.bind(self._case.name, name, f"{self._case.name}-node-1")
        elif pod["status"]["phase"] == "Pending" or (not self.calm and self._random.random() < 0.1):
            await self._case.set_status(pod, ready=self._random.random() < 0.8, restarts=self._random.randint(0, 3))
