"""The ServiceAccount tokens of a pod: minted in the virtual cluster, kept in one host Secret, renewed in time.

What the pod asked for, audience and lifetime, is what it gets. The one rule: the Secret's annotation tells when
each token was issued and ends, so a restarted syncer mints nothing that is still good.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import (
    PODS,
    SECRETS,
    Action,
    CreateHost,
    Key,
    Later,
    Object,
    PatchHost,
    RequestToken,
    TokenRequest,
    World,
)
from vcluster_syncer.naming import name_on_host
from vcluster_syncer.translate import metadata, references

TIMES: Final = f"{ownership.PREFIX}tokens"
"""Annotation: JSON, name of the token to when it was issued and when it ends, in seconds since the epoch."""
_RENEWED_AT: Final = 0.8
# As the kubelet does for tokens that live longer.
_OLDEST: Final = 24 * 3600.0
_DEFAULT_LIFE: Final = 3600


class Plan(NamedTuple):
    """What to do about a pod's tokens."""

    actions: Sequence[Action]
    is_complete: bool
    """Every token the pod asks for is in the Secret, or will be once the actions are done."""


def _times(secret: Object | None) -> dict[str, tuple[float, float]]:
    try:
        found = json.loads(ownership.annotations_of(secret).get(TIMES, "{}")) if secret else {}
        return {name: (float(issued), float(expires)) for name, (issued, expires) in found.items()}
    except (ValueError, TypeError, AttributeError):
        # Edited by hand on the host: as good as no tokens.
        return {}


def _renewal(issued: float, expires: float) -> float:
    return issued + min(_RENEWED_AT * (expires - issued), _OLDEST)


def _request(source: Object, pod: Object, renew: int) -> TokenRequest:
    own = pod["metadata"]
    return TokenRequest(
        namespace=own["namespace"],
        service_account=references.service_account(pod),
        pod_name=own["name"],
        pod_uid=own["uid"],
        audiences=(source["audience"],) if source.get("audience") else (),
        expiration_seconds=source.get("expirationSeconds") or _DEFAULT_LIFE,
        renew=renew,
    )


def _write(
    key: Key, pod: Object, secret: Object | None, world: World, *, tokens: dict[str, str], times: Object
) -> Action:
    notes = {TIMES: json.dumps(times, separators=(",", ":"), sort_keys=True)}
    made = metadata.to_host(
        key,
        {"metadata": {"uid": pod["metadata"]["uid"]}},
        world.tenant,
        PODS,
        notes=notes,
        role=ownership.TOKENS_ROLE,
    )
    if secret is None:
        return CreateHost(
            SECRETS, {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": made, "data": tokens}
        )
    content = decide.fields_patch(secret, {"data": tokens}, ("data",))
    patch = {**metadata.difference(secret, {"metadata": made}), **content}
    return PatchHost(SECRETS, secret["metadata"]["name"], secret["metadata"]["uid"], patch)


def plan(key: Key, pod: Object, secret: Object | None, world: World) -> Plan:
    """Say what a virtual pod's tokens need: minting, writing, or only a look at the right time."""
    wanted = dict(references.token_sources(pod))
    if not wanted:
        return Plan((), is_complete=True)
    if secret is not None and decide.is_terminating(secret):
        return Plan((), is_complete=False)
    is_his = secret is not None and ownership.carries(secret, pod)
    data: dict[str, Any] = dict((secret or {}).get("data") or {}) if is_his else {}
    times = _times(secret) if is_his else {}
    requests: list[Action] = []
    minted = False
    for name, source in wanted.items():
        is_there = name in data and name in times
        if is_there and world.now < _renewal(*times[name]):
            continue
        request = _request(source, pod, int(times[name][1]) if is_there else 0)
        token = world.token(request)
        if token is None:
            requests.append(RequestToken(request))
            continue
        data[name] = base64.b64encode(token.value.encode()).decode()
        times[name] = (token.issued, token.expires)
        minted = True
    if requests:
        # A pod that runs still has tokens which are good for a fifth of their life; nothing to write before all are
        # there.
        return Plan(requests, is_complete=False)
    name_there = name_on_host(world.tenant, PODS.kind, *key, role=ownership.TOKENS_ROLE)
    if secret is None and world.host_named(SECRETS, name_there) is not None:
        return Plan((decide.refuse_foreign(PODS, key, name_there),), is_complete=False)
    kept, known = {name: data[name] for name in wanted}, {name: times[name] for name in wanted}
    soonest = max(1.0, min(_renewal(*pair) for pair in known.values()) - world.now)
    later = Later(soonest, "a ServiceAccount token is due for renewal")
    return Plan(
        (_write(key, pod, secret, world, tokens=kept, times=known), later) if minted else (later,), is_complete=True
    )
