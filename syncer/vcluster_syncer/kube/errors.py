"""What an API server can answer besides what was asked for, as types.

The one rule: callers decide by type, never by status code or text, and never see an error of the HTTP library. A type
exists here only because somebody treats it differently from its parent.
"""

from __future__ import annotations


class KubeError(Exception):
    """A request failed. `retry_after` is the server's wish in seconds, None when it has none."""

    def __init__(
        self,
        message: str,
        *,
        request: str = "",
        status: int = 0,
        reason: str = "",
        fields: frozenset[str] = frozenset(),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{request}: {message}" if request else message)
        self.message = message
        """The server's own words."""
        self.request = request
        """Method and path, such as `POST /api/v1/namespaces/x/pods`."""
        self.status = status
        self.reason = reason
        """The machine-readable word of the server's Status, such as `AlreadyExists`."""
        self.fields = fields
        """Which fields the server named as causes."""
        self.retry_after = retry_after


class Unreachable(KubeError):
    """No answer: refused, cut, timed out, or not TLS as we trust it. Whether the request took effect is unknown."""


class ServerFailed(KubeError):
    """The server answered that it could not do it now (5xx, or something that is not Kubernetes)."""


class TooManyRequests(KubeError):
    """The server asks for patience (429); `retry_after` is at least a second."""


class NotFound(KubeError):
    """There is no such object, collection or namespace (404)."""


class Conflict(KubeError):
    """The object is not in the state the request presumed (409): resourceVersion, uid, or already bound."""


class AlreadyExists(Conflict):
    """An object of that name exists (409)."""


class Gone(KubeError):
    """That resourceVersion or continue token is too old (410): list again."""


class Rejected(KubeError):
    """The server will not do this, whenever it is asked, until object or server change (4xx)."""


class Invalid(Rejected):
    """The object breaks the API's rules (400, 422)."""


class Forbidden(Rejected):
    """Rights, quota, admission or a terminating namespace forbid it (401, 403)."""
