"""From what an API server asks of a kubelet to what is asked of the host's API server.

The one rule: pure, and closed. Only what is listed here passes: four endpoints, their parameters, the headers that
negotiate a protocol. A pod is one that the syncer remembers, by its virtual name; a container is one of the virtual
pod's own, so what the host has added to its pod (sidecars) can't be entered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from vcluster_syncer import ownership
from vcluster_syncer.gateway.http import Headers, Request, render_request
from vcluster_syncer.model import PODS, Key, Object

_STREAMS: Final = {"input": "stdin", "output": "stdout", "error": "stderr", "tty": "tty"}
_LOG_OPTIONS: Final = frozenset(
    ("follow", "limitBytes", "previous", "sinceSeconds", "sinceTime", "stream", "tailLines", "timestamps")
)
_PROTOCOLS: Final = ("spdy/3.1", "websocket")
_NEGOTIATION: Final = frozenset(
    (
        "connection",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "sec-websocket-version",
        "upgrade",
        "user-agent",
        "x-stream-protocol-version",
    )
)
# A WebSocket client in a browser hides its credentials among the protocols.
_BEARER: Final = "base64url.bearer.authorization.k8s.io."
_CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")


class Refused(Exception):
    """A request that goes no further; the message is for whoever asked."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an API server wants of a pod, in the virtual cluster's words."""

    subresource: str
    """That of the pod on the host: log, exec, attach or portforward."""
    pod: Key
    container: str
    """Empty where it is about the pod as a whole."""
    options: tuple[tuple[str, str], ...]
    """The query for the host, but for the container."""


def parse(request: Request) -> Asked:
    """Read a request to a kubelet; Refused."""
    options: Iterator[tuple[str, str]]
    match request.path:
        case ("containerLogs", namespace, pod, container):
            subresource, options = "log", _log_options(request.query)
        case ("exec" | "attach" as subresource, namespace, pod, container):
            options = _stream_options(request.query, command=subresource == "exec")
        case ("portForward", namespace, pod):
            subresource, container = "portforward", ""
            options = (("ports", value) for name, value in request.query if name == "port")
        case _:
            raise Refused(404, f"no such endpoint: /{'/'.join(request.path)}; this kubelet is a gateway to another")
    if request.method != "GET" and (request.method != "POST" or subresource == "log"):
        raise Refused(405, f"{request.method} is not allowed here")
    if subresource != "log" and request.headers.first("upgrade").lower() not in _PROTOCOLS:
        raise Refused(400, f"Upgrade request required, to one of {', '.join(_PROTOCOLS)}")
    return Asked(subresource=subresource, pod=Key(namespace, pod), container=container, options=tuple(options))


def authorize(asked: Asked, virtual: Object | None, host: Object | None) -> Object:
    """Return the host's pod if it may be asked; Refused."""
    shown = f"{asked.pod.namespace}/{asked.pod.name}"
    if virtual is None:
        raise Refused(404, f"pod {shown} does not exist")
    if asked.container and asked.container not in set(_containers(virtual)):
        raise Refused(404, f"container {asked.container!r} is not in pod {shown}")
    if host is None or not ownership.carries(host, virtual):
        raise Refused(404, f"pod {shown} is not on the host yet, or not any more")
    return host


def to_host(asked: Asked, request: Request, host: Object, *, credentials: Mapping[str, str], prefix: str = "") -> bytes:
    """Write the head of the request to the host's API server, which is below `prefix`.

    `credentials` are header fields.
    """
    metadata = host["metadata"]
    container = [("container", asked.container)] if asked.container else []
    path = PODS.path(quote(metadata["namespace"], safe=""), quote(metadata["name"], safe=""), asked.subresource)
    query = urlencode([*container, *asked.options])
    target = f"{prefix}{path}?{query}" if query else f"{prefix}{path}"
    return render_request(request.method, target, [*credentials.items(), *negotiation(request)])


def negotiation(request: Request) -> Sequence[tuple[str, str]]:
    """The header fields that are passed on: what protocol is wanted, and nothing that says who asks."""
    if not request.upgrades:
        # A connection that is used once: nothing that is on it later can be taken for a request of ours.
        return [("accept", "*/*"), ("accept-encoding", "identity"), ("connection", "close")]
    return list(_without_credentials(request.headers))


def _without_credentials(headers: Headers) -> Iterator[tuple[str, str]]:
    for name, value in headers:
        if name == "connection":
            yield name, "Upgrade"
        elif name == "sec-websocket-protocol":
            offered = [one.strip() for one in value.split(",")]
            yield name, ", ".join(one for one in offered if not one.startswith(_BEARER))
        elif name in _NEGOTIATION:
            yield name, value


def _containers(pod: Object) -> Iterator[str]:
    for field in _CONTAINERS:
        for container in pod["spec"].get(field) or ():
            yield container["name"]


def _log_options(query: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for name, value in query:
        # The default, which servers that don't know the option can do without.
        if name in _LOG_OPTIONS and (name, value) != ("stream", "All"):
            yield name, value


def _stream_options(query: Sequence[tuple[str, str]], *, command: bool) -> Iterator[tuple[str, str]]:
    for name, value in query:
        if name == "command" and command:
            yield name, value
        elif name in _STREAMS:
            yield _STREAMS[name], "true" if value == "1" else "false"
