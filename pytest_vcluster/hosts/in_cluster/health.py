"""What the host says of the pod of a virtual cluster: on its way, hopeless, or dead.

The one rule: pure. It reads a Pod as the API gives it, and has words for people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_vcluster.controlplane.component import Death

_HOPELESS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError")
_CRASHING = "CrashLoopBackOff"


def hopeless(pod: Mapping[str, Any]) -> str:
    """Why a pod that starts will never run, with the image where it is one; empty as long as there is hope."""
    for container in _containers(pod):
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason, message = waiting.get("reason", ""), waiting.get("message", "")
        if reason in _HOPELESS:
            return f"container {container['name']} ({container['image']}): {reason}: {message}"
        if reason == _CRASHING:
            return f"container {container['name']} ends again and again: {message}"
    return ""


def crashing(pod: Mapping[str, Any]) -> str:
    """Which container ends again and again; empty if none does."""
    for container in _containers(pod):
        if ((container.get("state") or {}).get("waiting") or {}).get("reason") == _CRASHING:
            return str(container["name"])
    return ""


def refused(events: Sequence[Mapping[str, Any]]) -> str:
    """Why the host makes no pod of a StatefulSet, by its events: a quota, a pod security level, a webhook."""
    said = [event.get("message", "") for event in events if event.get("reason") == "FailedCreate"]
    return str(said[-1]) if said else ""


def last_seen(pod: Mapping[str, Any]) -> str:
    """How far a pod that starts has come."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] != "True":
            return f"not scheduled: {condition.get('message') or condition.get('reason')}"
    states = [f"{found['name']} {_state(found)}" for found in _containers(pod)]
    return f"{status.get('phase', 'unknown')}: {', '.join(states) or 'no containers yet'}"


def restarts(pod: Mapping[str, Any] | None) -> Mapping[str, int]:
    """How often each container of a pod has begun anew so far."""
    return {container["name"]: container.get("restartCount", 0) for container in _containers(pod or {})}


def at_rest(pods: Sequence[Mapping[str, Any]]) -> bool:
    """Whether all pods of a virtual cluster are ready, or at their end."""
    return all(_is_ready(pod) or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed") for pod in pods)


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def deaths(pod: Mapping[str, Any] | None, name: str, before: Mapping[str, int]) -> Sequence[Death]:
    """What of a cluster that runs has died; `pod` is None where the host has none.

    `before`: the restarts that it had when it was ready. On a busy node a server may give up waiting for another one
    and begin anew, which is no death of a cluster that nobody had yet.
    """
    if pod is None or (pod.get("metadata") or {}).get("deletionTimestamp"):
        return (_death(f"{name}/pod", "was deleted from the host"),)
    phase = (pod.get("status") or {}).get("phase")
    if phase in ("Failed", "Succeeded"):
        return (_death(f"{name}/pod", f"{phase}: {(pod['status']).get('reason') or 'it ended'}"),)
    return tuple(_ended(pod, name, before))


def _ended(pod: Mapping[str, Any], name: str, before: Mapping[str, int]) -> Iterator[Death]:
    for container in _containers(pod):
        ended = (container.get("state") or {}).get("terminated")
        if ended is None and container.get("restartCount", 0) > before.get(container["name"], 0):
            ended = (container.get("lastState") or {}).get("terminated")
        if ended is not None:
            how = f"ended with {ended.get('exitCode')} ({ended.get('reason') or 'no reason given'})"
            yield _death(f"{name}/{container['name']}", how)


def _death(component: str, status: str) -> Death:
    return Death(component=component, status=status, log="", tail="")


def _containers(pod: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def _state(container: Mapping[str, Any]) -> str:
    state = container.get("state") or {}
    waiting = state.get("waiting")
    if waiting:
        return str(waiting.get("reason") or "waiting")
    return "running" if "running" in state else "ended"
