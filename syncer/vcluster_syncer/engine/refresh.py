"""Brings what a server just answered into one tenant's memory, and asks it when memory was wrong.

The one rule: only whole objects of the resource that was asked for are learnt; anything else an endpoint answers (a
Status, a Binding) says nothing about the collection.
"""

from __future__ import annotations

import logging
from typing import Any

from vcluster_syncer.engine.memory import Memory
from vcluster_syncer.kube import requests
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.errors import KubeError, NotFound
from vcluster_syncer.model import (
    PODS,
    Action,
    Bind,
    CreateHost,
    CreateVirtual,
    Key,
    PatchHost,
    PatchVirtual,
    Resource,
    UpdateVirtualStatus,
)

_log = logging.getLogger(__name__)


class Refresh:
    """Learns answers, of the host and of the virtual cluster, for one tenant."""

    def __init__(self, memory: Memory, *, virtual: Client, host: Client) -> None:
        self._memory = memory
        self._virtual = virtual
        self._host = host

    def host(self, resource: Resource, answer: dict[str, Any]) -> None:
        """Learn a host object."""
        objects = self._memory.host_objects.get(resource)
        if objects is not None and answer.get("kind") == resource.kind:
            objects.upsert(answer, asked=True)

    def host_deletion(self, resource: Resource, name: str, uid: str, answer: dict[str, Any]) -> None:
        """Learn what a DELETE on the host answered."""
        if _is_gone(answer):
            self.host_gone(resource, name, uid)
        else:
            self.host(resource, answer)

    def host_gone(self, resource: Resource, name: str, uid: str) -> None:
        """Learn that there is no host object of that uid."""
        objects = self._memory.host_objects.get(resource)
        if objects is not None:
            objects.forget(name, uid)

    def virtual(self, resource: Resource, answer: dict[str, Any]) -> None:
        """Learn a virtual object."""
        store = self._memory.virtual_stores.get(resource)
        if store is not None and answer.get("kind") == resource.kind:
            store.upsert(answer, asked=True)

    def virtual_deletion(self, resource: Resource, key: Key, uid: str, answer: dict[str, Any]) -> None:
        """Learn what a DELETE in the virtual cluster answered."""
        if _is_gone(answer):
            self.virtual_gone(resource, key, uid)
        else:
            self.virtual(resource, answer)

    def virtual_gone(self, resource: Resource, key: Key, uid: str) -> None:
        """Learn that there is no virtual object of that uid."""
        store = self._memory.virtual_stores.get(resource)
        if store is not None:
            store.forget(key, uid)

    async def look(self, action: Action) -> None:
        """Read the object of an action that failed: the watch may be behind, or not cover it."""
        try:
            match action:
                case CreateHost(resource, obj):
                    await self._look_at_host(resource, obj["metadata"]["name"], self._memory.place_of(resource, obj))
                case PatchHost(resource, name):
                    await self._look_at_host(resource, name, self._memory.namespace_of(resource, name))
                case CreateVirtual(resource, obj) | UpdateVirtualStatus(resource, obj):
                    metadata = obj["metadata"]
                    await self._look_at_virtual(resource, Key(metadata.get("namespace", ""), metadata["name"]))
                case PatchVirtual(resource, key):
                    await self._look_at_virtual(resource, key)
                case Bind(key):
                    await self._look_at_virtual(PODS, key)
        except KubeError as error:
            _log.debug("tenant %s: %s", self._memory.tenant.name, error)

    async def _look_at_host(self, resource: Resource, name: str, namespace: str) -> None:
        objects = self._memory.host_objects.get(resource)
        known = None if objects is None else objects.named(name)
        request = requests.get(resource, namespace=namespace, name=name)
        try:
            self.host(resource, await self._host.send(request))
        except NotFound:
            if known is not None:
                self.host_gone(resource, name, known["metadata"]["uid"])

    async def _look_at_virtual(self, resource: Resource, key: Key) -> None:
        store = self._memory.virtual_stores.get(resource)
        known = None if store is None else store.get(key)
        request = requests.get(resource, namespace=key.namespace, name=key.name)
        try:
            self.virtual(resource, await self._virtual.send(request))
        except NotFound:
            if known is not None:
                self.virtual_gone(resource, key, known["metadata"]["uid"])


def _is_gone(answer: dict[str, Any]) -> bool:
    """Whether what a DELETE answered means that the object is no more; otherwise the answer is the dying object."""
    if answer.get("kind") == "Status":
        return True
    metadata = answer.get("metadata") or {}
    if (answer.get("spec") or {}).get("finalizers"):
        # Those of a namespace are there: it goes when it is empty.
        return False
    return not metadata.get("finalizers") and not metadata.get("deletionGracePeriodSeconds")
