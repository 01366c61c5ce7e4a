"""Bringing container images to the nodes of a kind cluster, each once.

The one rule: an image is on the nodes if every one of them has it under that name, and, where local Docker has it too,
the same one: who builds `operator:dev` anew means the new one. What is nowhere here is pulled; what can't be pulled is
told with all its names at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence

from pytest_vcluster.errors import HostError
from pytest_vcluster.hosts.kind.docker import Docker

_PULL_SECONDS = 900.0
_IMPORT_SECONDS = 600.0
_QUERY_SECONDS = 30.0
_RECORD = "/kind/pytest-vcluster-images.json"
_CTR = ("ctr", "--namespace=k8s.io", "images")


def canonical(reference: str) -> str:
    """The full name of an image, as containerd writes it: `busybox` is `docker.io/library/busybox:latest`."""
    name, at, digest = reference.partition("@")
    domain, slash, rest = name.partition("/")
    if not slash or not ("." in domain or ":" in domain or domain == "localhost"):
        domain, rest = "docker.io", name if slash else f"library/{name}"
    path, colon, tag = rest.rpartition(":")
    if not colon:
        path, tag = rest, "latest"
    return f"{domain}/{path}@{digest}" if at else f"{domain}/{path}:{tag}"


def listed(text: str) -> dict[str, str]:
    """Full name -> id of every image in the output of `crictl images --output=json`."""
    images = json.loads(text)["images"]
    return {
        canonical(name): image["id"]
        for image in images
        for name in [*(image.get("repoTags") or ()), *(image.get("repoDigests") or ())]
    }


def is_there(name: str, *, here: str, nodes: Iterable[Mapping[str, str]], brought: str) -> bool:
    """Whether all `nodes` have the image `name`, and as local Docker has it (its id `here`; empty: it has not).

    Where Docker keeps images as containerd does, its ids differ from those on nodes: then what was last `brought`
    counts.
    """
    ids = [node.get(name, "") for node in nodes]
    return all(ids) and (not here or brought == here or set(ids) == {here})


class Images:
    """The images on the nodes of one cluster. `lasting`: other runs, later and now, bring images to it too."""

    def __init__(self, docker: Docker, nodes: Sequence[str], *, cluster: str, offline: bool, lasting: bool) -> None:
        self._docker = docker
        self._nodes = tuple(nodes)
        self._cluster = cluster
        self._offline = offline
        self._lasting = lasting
        self._lock = asyncio.Lock()
        self._sure: dict[str, str] = {}

    async def load(self, references: Iterable[str], *, progress: Callable[[str], None]) -> None:
        """Have all images on all nodes; HostError with those that can't be had. Others' loads are waited for."""
        async with self._lock:
            wanted = {canonical(reference): reference for reference in references}
            here = {name: await self._id(reference) for name, reference in wanted.items()}
            unsure = {name: ref for name, ref in wanted.items() if self._sure.get(name) != here[name]}
            if unsure:
                await self._bring(unsure, here, progress=progress)
                self._sure.update((name, here[name]) for name in unsure)

    async def _bring(self, wanted: Mapping[str, str], here: dict[str, str], *, progress: Callable[[str], None]) -> None:
        nodes = [await self._on(node) for node in self._nodes]
        brought = await self._brought() if self._lasting else self._sure
        missing = {
            name: reference
            for name, reference in wanted.items()
            if not is_there(name, here=here[name], nodes=nodes, brought=brought.get(name, ""))
        }
        if not missing:
            return
        await self._pull({name: ref for name, ref in missing.items() if not here[name]}, here, progress=progress)
        progress(f"kind cluster {self._cluster}: loading {', '.join(missing.values())}")
        await asyncio.gather(*(self._import(node, tuple(missing.values())) for node in self._nodes))
        for node in self._nodes:
            await self._named(node, missing, here)
        if self._lasting:
            record = json.dumps({**brought, **{name: here[name] for name in missing}})
            await self._docker.run(
                "exec", "-i", self._nodes[0], "cp", "/dev/stdin", _RECORD, timeout=_QUERY_SECONDS, given=record.encode()
            )

    async def _pull(self, absent: Mapping[str, str], here: dict[str, str], *, progress: Callable[[str], None]) -> None:
        refusals = []
        for name, reference in absent.items():
            if self._offline:
                refusals.append(f"{reference}: --vcluster-offline forbids to pull it")
                continue
            progress(f"kind cluster {self._cluster}: pulling {reference}")
            answer = await self._docker.answer("pull", "--quiet", reference, timeout=_PULL_SECONDS)
            if answer.code:
                refusals.append(f"{reference}: docker pull says: {answer.said}")
            here[name] = await self._id(reference)
        if refusals:
            listing = "\n".join(f"  {refusal}" for refusal in refusals)
            raise HostError(
                f"{'An image' if len(refusals) == 1 else 'Images'} can't be had for the kind cluster {self._cluster}:\n"
                f"{listing}\n"
                "Looked for on its nodes, in local Docker, and in the registry that the name says.\n"
                "Bring it here (`docker build`, `docker pull`, `docker load`), mend the name or version, or see to it "
                "that Docker reaches the registry (`docker login`, its proxy settings)."
            )

    async def _id(self, reference: str) -> str:
        answer = await self._docker.answer("image", "inspect", "--format", "{{.Id}}", reference, timeout=_QUERY_SECONDS)
        return answer.output.strip() if answer.code == 0 else ""

    async def _on(self, node: str) -> dict[str, str]:
        return listed(await self._docker.run("exec", node, "crictl", "images", "--output=json", timeout=_QUERY_SECONDS))

    async def _brought(self) -> dict[str, str]:
        answer = await self._docker.answer("exec", self._nodes[0], "cat", _RECORD, timeout=_QUERY_SECONDS)
        known: dict[str, str] = json.loads(answer.output) if answer.code == 0 and answer.output else {}
        return known

    async def _import(self, node: str, references: Sequence[str]) -> None:
        # Not kind's own `load docker-image`: it asks for all platforms of an image, and Docker has only ours of most.
        snapshotter = snapshotter_in(
            await self._docker.run("exec", node, "containerd", "config", "dump", timeout=_QUERY_SECONDS)
        )
        take = ("exec", "-i", node, *_CTR, "import", "--digests", f"--snapshotter={snapshotter}", "-")
        read, write = os.pipe()
        try:
            async with self._docker.started("save", *references, output=write) as saving:
                os.close(write)
                write = -1
                async with self._docker.started(*take, given=read) as taking:
                    os.close(read)
                    read = -1
                    async with asyncio.timeout(_IMPORT_SECONDS):
                        (_, complaints), (_, refusal) = await asyncio.gather(saving.communicate(), taking.communicate())
        except TimeoutError:
            raise _not_loaded(references, node, f"not within {_IMPORT_SECONDS:.0f} s") from None
        finally:
            for descriptor in (read, write):
                if descriptor >= 0:
                    os.close(descriptor)
        if saving.returncode or taking.returncode:
            said = (refusal if taking.returncode else complaints) or complaints
            raise _not_loaded(references, node, said.decode(errors="replace").strip())

    async def _named(self, node: str, missing: Mapping[str, str], here: Mapping[str, str]) -> None:
        """See that the images have their names on `node`: those that are known by digest only come without."""
        there = await self._on(node)
        for name in missing:
            if name not in there:
                answer = await self._docker.answer("exec", node, *_CTR, "tag", here[name], name, timeout=_QUERY_SECONDS)
                if answer.code:
                    raise _not_loaded([missing[name]], node, f"it is not there afterwards: {answer.said}")


def snapshotter_in(configuration: str) -> str:
    """Which snapshotter a node's containerd uses for pods, from `containerd config dump`."""
    plugins = tomllib.loads(configuration).get("plugins", {})
    for plugin, path in (
        ("io.containerd.cri.v1.images", ()),
        ("io.containerd.grpc.v1.cri", ("containerd",)),
    ):
        section = plugins.get(plugin, {})
        for key in path:
            section = section.get(key, {})
        if found := section.get("snapshotter"):
            return str(found)
    return "overlayfs"


def _not_loaded(references: Sequence[str], node: str, said: str) -> HostError:
    return HostError(
        f"{', '.join(references)} could not be loaded into the node {node}:\n{said}\n"
        "See whether Docker has room (`docker system df`), and the image is for this machine's architecture "
        "(`docker image inspect`)."
    )
