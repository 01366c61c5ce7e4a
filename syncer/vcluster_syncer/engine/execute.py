"""Turns actions into requests, and answers into outcomes.

The one rule: what a server answers to our own write goes into memory before the next look at the key, so that no pass
acts on a state older than its own writes. Every delete and patch names the uid it means.
"""

from __future__ import annotations

import logging

from vcluster_syncer.engine.futile import Futile
from vcluster_syncer.engine.memory import Memory
from vcluster_syncer.engine.outcomes import DONE, Failed, Later, Outcome, Refused, Rejected, Stale, Verdict
from vcluster_syncer.engine.refresh import Refresh
from vcluster_syncer.engine.warnings import warning
from vcluster_syncer.kube import errors, requests
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.errors import AlreadyExists, Conflict, Forbidden, KubeError, NotFound
from vcluster_syncer.model import (
    EVENTS,
    PODS,
    Action,
    Bind,
    CreateHost,
    CreateVirtual,
    DeleteHost,
    DeleteVirtual,
    PatchHost,
    PatchVirtual,
    Reference,
    Refuse,
    RequestToken,
    Resource,
    UpdateVirtualStatus,
)
from vcluster_syncer.model import Later as LaterAction
from vcluster_syncer.ownership import owned
from vcluster_syncer.translate.scrub import scrubber

_log = logging.getLogger(__name__)

# The API server calls a uid precondition that failed in a patch an invalid change of an immutable field.
_UID = "metadata.uid"
# How it names the cause when an object can't be created because its namespace is on its way out.
_NAMESPACE = "metadata.namespace"
_NOT_ON_HOST = "NotOnHost"


class Executor:
    """Executes the actions of one tenant."""

    def __init__(self, memory: Memory, *, virtual: Client, host: Client) -> None:
        self._memory = memory
        self._virtual = virtual
        self._host = host
        self._learn = Refresh(memory, virtual=virtual, host=host)
        self._futile = Futile(memory)

    async def execute(self, action: Action, about: Reference) -> Verdict:
        """Execute one action; `about` is the key whose pass it belongs to."""
        match action:
            case CreateHost(resource) | PatchHost(resource) | DeleteHost(resource):
                if not self._memory.host_has(resource):
                    return await self._nowhere_to_go(resource, about)
                if isinstance(action, CreateHost) and resource.namespaced:
                    namespace = self._memory.place_of(resource, action.object)
                    if not self._memory.lives_in(namespace):
                        return Failed(f"the host namespace {namespace} is not there")
            case CreateVirtual(resource) | PatchVirtual(resource) | UpdateVirtualStatus(resource):
                if not self._memory.virtual_has(resource):
                    return DONE
        before = self._futile.revision(action)
        if action in self._futile:
            return DONE
        try:
            outcome = await self._execute(action)
        except KubeError as error:
            return await self._after(error, action, about)
        self._futile.notice(action, before)
        return outcome

    async def _nowhere_to_go(self, resource: Resource, about: Reference) -> Outcome:
        """Tell the user that the host lacks a definition; should it come, all keys are looked at again."""
        message = f"the host has no {resource.plural}.{resource.group}, so it stays in the virtual cluster"
        await self.tell(about, _NOT_ON_HOST, message)
        return Refused(_NOT_ON_HOST, message)

    async def _execute(self, action: Action) -> Outcome:
        match action:
            case LaterAction(seconds, reason):
                return Later(seconds, reason)
            case Refuse(resource, key, reason, message):
                await self.tell((resource, key), reason, message)
                return Refused(reason, message)
            case RequestToken():
                return await self._request_token(action)
            case CreateHost() | PatchHost() | DeleteHost():
                await self._on_host(action)
            case CreateVirtual() | PatchVirtual() | UpdateVirtualStatus() | DeleteVirtual() | Bind():
                await self._in_virtual(action)
        return DONE

    async def tell(self, about: Reference, reason: str, message: str) -> None:
        """Put a Warning event on a virtual object, once for the same words."""
        resource, key = about
        store = self._memory.virtual_stores.get(resource)
        obj = None if store is None else store.get(key)
        if obj is None:
            return
        event = warning(resource, obj, reason=reason, message=message, now=self._memory.now)
        try:
            await self._virtual.send(requests.create(EVENTS, event, namespace=event["metadata"]["namespace"]))
        except AlreadyExists:
            pass
        except KubeError as error:
            _log.warning("tenant %s: the user can't be told %r: %s", self._memory.tenant.name, message, error)

    async def _after(self, error: KubeError, action: Action, about: Reference) -> Verdict:
        match error:
            case NotFound():
                return await self._not_found(action, error)
            case AlreadyExists():
                await self._learn.look(action)
                return Stale(str(error))
            case Conflict():
                return Stale(str(error))
            case errors.Rejected():
                return await self._rejected(action, about, error)
        return Failed(str(error), error.retry_after)

    async def _on_host(self, action: CreateHost | PatchHost | DeleteHost) -> None:
        match action:
            case CreateHost(resource, obj):
                namespace = self._memory.place_of(resource, obj)
                made = owned(obj, self._memory.tenant, namespace=namespace)
                answer = await self._host.send(requests.create(resource, made, namespace=namespace))
                self._learn.host(resource, answer)
            case PatchHost(resource, name, uid):
                request = requests.merge_patch(
                    resource,
                    namespace=self._memory.namespace_of(resource, name),
                    name=name,
                    uid=uid,
                    resource_version=action.resource_version,
                    patch=action.patch,
                    subresource=action.subresource,
                )
                self._learn.host(resource, await self._host.send(request))
            case DeleteHost(resource, name, uid, grace):
                namespace = self._memory.namespace_of(resource, name)
                request = requests.delete(resource, namespace=namespace, name=name, uid=uid, grace_seconds=grace)
                self._learn.host_deletion(resource, name, uid, await self._host.send(request))

    async def _in_virtual(
        self, action: CreateVirtual | PatchVirtual | UpdateVirtualStatus | DeleteVirtual | Bind
    ) -> None:
        send, learn = self._virtual.send, self._learn
        match action:
            case CreateVirtual(resource, obj):
                namespace = obj["metadata"].get("namespace", "")
                learn.virtual(resource, await send(requests.create(resource, obj, namespace=namespace)))
            case UpdateVirtualStatus(resource, obj):
                learn.virtual(resource, await send(requests.replace_status(resource, obj)))
            case PatchVirtual(resource, key, uid):
                request = requests.merge_patch(
                    resource,
                    namespace=key.namespace,
                    name=key.name,
                    uid=uid,
                    resource_version=action.resource_version,
                    patch=action.patch,
                    subresource=action.subresource,
                )
                learn.virtual(resource, await send(request))
            case DeleteVirtual(resource, key, uid, grace):
                request = requests.delete(
                    resource, namespace=key.namespace, name=key.name, uid=uid, grace_seconds=grace
                )
                learn.virtual_deletion(resource, key, uid, await send(request))
            case Bind(key, uid, node):
                await send(requests.bind(PODS, namespace=key.namespace, name=key.name, uid=uid, node=node))

    async def _request_token(self, action: RequestToken) -> Outcome:
        asked = action.request
        request = requests.token(
            namespace=asked.namespace,
            service_account=asked.service_account,
            pod_name=asked.pod_name,
            pod_uid=asked.pod_uid,
            audiences=asked.audiences,
            seconds=asked.expiration_seconds,
        )
        answer = await self._virtual.send(request)
        try:
            self._memory.tokens.put(asked, answer)
        except (KeyError, TypeError, ValueError) as error:
            return Failed(f"the answer to {request} is no token: {error!r}")
        return Later(0.0, "the token is there")

    async def _not_found(self, action: Action, error: NotFound) -> Outcome:
        match action:
            case DeleteHost(resource, name, uid, _):
                self._learn.host_gone(resource, name, uid)
                return DONE
            case DeleteVirtual(resource, key, uid, _):
                self._learn.virtual_gone(resource, key, uid)
                return DONE
            case CreateHost() | CreateVirtual() | RequestToken():
                # Not the object is missing but its namespace or its ServiceAccount.
                return Failed(str(error))
        await self._learn.look(action)
        return Stale(str(error))

    async def _rejected(self, action: Action, about: Reference, error: errors.Rejected) -> Verdict:
        if _UID in error.fields and isinstance(action, PatchHost | PatchVirtual):
            await self._learn.look(action)
            return Stale(str(error))
        if isinstance(error, Forbidden) and _NAMESPACE in error.fields:
            return Failed(str(error))
        _log.debug("tenant %s: %s", self._memory.tenant.name, error)
        return Rejected(self._in_virtual_words(action, about, error.message), isinstance(error, Forbidden))

    def _in_virtual_words(self, action: Action, about: Reference, message: str) -> str:
        """The host's reason, without the host's names."""
        match action:
            case CreateHost(_, obj):
                name = obj["metadata"]["name"]
            case PatchHost(_, name) | DeleteHost(_, name):
                pass
            case _:
                return message
        resource, key = about
        kind = self._memory.kinds[resource]
        virtual = self._memory.virtual(resource, key) if kind.watch_virtual else None
        host = self._memory.host(resource, key) if kind.watch_host else None
        uses = kind.references(virtual) if virtual is not None else ()
        scrub = scrubber(resource, key, virtual=virtual, host=host, world=self._memory, uses=uses)
        # A name that a kind makes by a rule of its own is known to nobody else.
        return scrub(message).replace(name, key.name)
