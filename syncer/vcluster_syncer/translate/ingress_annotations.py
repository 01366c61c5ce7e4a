"""What annotations of an Ingress name: controllers keep there what the API has no fields for.

The one rule: only annotations that are known are read; of the others nobody can say what is a name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from vcluster_syncer.model import Key

_SECRETS: Final = frozenset(
    f"nginx.ingress.kubernetes.io/{name}" for name in ("auth-secret", "auth-tls-secret", "proxy-ssl-secret")
)
# Where the rest of the annotation's name is that of a backend.
_BACKENDS: Final = ("alb.ingress.kubernetes.io/actions.", "alb.ingress.kubernetes.io/conditions.")


def secrets(annotations: dict[str, str], namespace: str) -> Iterator[Key]:
    """Yield the Secrets that annotations of an Ingress of `namespace` name."""
    for name in sorted(_SECRETS & set(annotations)):
        there, slash, secret = annotations[name].rpartition("/")
        if secret:
            yield Key(there if slash else namespace, secret)


def to_host(
    annotations: dict[str, str],
    namespace: str,
    *,
    secret: Callable[[Key], tuple[str, str]],
    service: Callable[[str], str],
) -> dict[str, str]:
    """Return the host's annotations; `secret` tells a Secret's namespace and name there, `service` a Service's name."""
    made = {}
    for name, value in annotations.items():
        prefix = next((prefix for prefix in _BACKENDS if name.startswith(prefix)), "")
        if name in _SECRETS and value.rpartition("/")[2]:
            [key] = secrets({name: value}, namespace)
            made[name] = "/".join(secret(key)[0 if "/" in value else 1 :])
        elif prefix:
            # The controller finds it by the name of the backend, which has another on the host.
            made[prefix + service(name.removeprefix(prefix))] = _services_in(value, service)
        else:
            made[name] = value
    return made


def _services_in(text: str, service: Callable[[str], str]) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        # The controller will say so.
        return text
    return json.dumps(_renamed(value, service), separators=(",", ":"))


def _renamed(value: Any, service: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {
            name: service(inside)
            if name.lower() == "servicename" and isinstance(inside, str)
            else _renamed(inside, service)
            for name, inside in value.items()
        }
    return [_renamed(inside, service) for inside in value] if isinstance(value, list) else value
