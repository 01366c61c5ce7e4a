import base64
import json
from typing import Any

import pytest
from syncer_worlds import Worlds, host_pod, pod, run_on_host
from vcluster_syncer.model import PODS, SECRETS, CreateHost, Key, Later, PatchHost, Refuse, RequestToken
from vcluster_syncer.naming import host_name
from vcluster_syncer.translate import pod_tokens

WEB = Key("default", "web")
SECRET = host_name("vc-a1", "default", "web", role="tokens")


@pytest.fixture
def worlds() -> Worlds:
    return Worlds()


def projected(*sources: dict[str, Any]) -> list[dict[str, Any]]:
    made = [{"serviceAccountToken": {"path": f"token-{number}", **one}} for number, one in enumerate(sources)]
    return [{"name": "api", "projected": {"sources": made}}]


def data(worlds: Worlds) -> dict[str, str]:
    stored = worlds.there[SECRETS, SECRET]["data"]
    return {name: base64.b64decode(value).decode() for name, value in stored.items()}


def test_what_the_pod_asks_for_is_what_is_minted(worlds: Worlds) -> None:
    made = pod(
        worlds,
        serviceAccountName="robot",
        volumes=projected({"audience": "vault", "expirationSeconds": 600}, {}),
    )
    host_pod(worlds)
    first, second = worlds.requested
    assert (first.service_account, first.audiences, first.expiration_seconds) == ("robot", ("vault",), 600)
    assert (second.audiences, second.expiration_seconds) == ((), 3600)
    assert (first.pod_name, first.pod_uid) == ("web", made["metadata"]["uid"])
    assert data(worlds) == {"api.0": "token-1", "api.1": "token-2"}


def test_the_pod_is_not_made_before_its_tokens_are_there(worlds: Worlds) -> None:
    pod(worlds, volumes=projected({}))
    (request,) = worlds.look(PODS, WEB)
    assert isinstance(request, RequestToken)
    worlds.do(request)
    made = worlds.look(PODS, WEB)
    assert [type(action) for action in made] == [CreateHost, Later, CreateHost]
    assert [action.resource for action in made if isinstance(action, CreateHost)] == [SECRETS, PODS]


def test_a_pod_without_tokens_has_no_secret(worlds: Worlds) -> None:
    pod(worlds)
    host_pod(worlds)
    assert (SECRETS, SECRET) not in worlds.there


def test_a_restarted_syncer_mints_nothing_that_is_still_good(worlds: Worlds) -> None:
    pod(worlds, volumes=projected({}))
    host_pod(worlds)
    worlds.tokens.clear()
    worlds.now += 1000
    (later,) = worlds.look(PODS, WEB)
    assert isinstance(later, Later)
    assert later.seconds == pytest.approx(0.8 * 3600 - 1000)


def test_a_token_is_renewed_at_four_fifths_of_its_life(worlds: Worlds) -> None:
    pod(worlds, volumes=projected({}, {"expirationSeconds": 86400}))
    run_on_host(worlds, worlds.node())
    worlds.settle(PODS, WEB)
    worlds.now += 0.8 * 3600
    (request,) = worlds.look(PODS, WEB)
    assert isinstance(request, RequestToken)
    worlds.do(request)
    patch, _ = worlds.look(PODS, WEB)
    assert isinstance(patch, PatchHost)
    worlds.settle(PODS, WEB)
    assert data(worlds) == {"api.0": "token-3", "api.1": "token-2"}


def test_a_token_that_lives_for_a_year_is_renewed_daily(worlds: Worlds) -> None:
    pod(worlds, volumes=projected({"expirationSeconds": 365 * 86400}))
    host_pod(worlds)
    (later,) = worlds.look(PODS, WEB)
    assert isinstance(later, Later)
    assert later.seconds == 86400


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_ended_needs_none(worlds: Worlds, phase: str) -> None:
    pod(worlds, volumes=projected({}))
    run_on_host(worlds, worlds.node(), phase=phase)
    worlds.settle(PODS, WEB)
    worlds.now += 1e6
    assert list(worlds.look(PODS, WEB)) == []


def test_a_namesake_gets_tokens_of_its_own(worlds: Worlds) -> None:
    pod(worlds, volumes=projected({}))
    host_pod(worlds)
    pod(worlds, volumes=projected({}))
    host_pod(worlds)
    assert data(worlds) == {"api.0": "token-2"}


def test_the_secret_goes_with_the_pod(worlds: Worlds) -> None:
    pod(worlds, volumes=projected({}))
    host_pod(worlds)
    del worlds.here[PODS, WEB]
    worlds.settle(PODS, WEB)
    assert not [name for resource, name in worlds.there if resource in {PODS, SECRETS}]


@pytest.mark.parametrize("times", ["not json", "[]", '{"api.0": 1}', "{}"])
def test_a_record_that_somebody_broke_means_minting_anew(worlds: Worlds, times: str) -> None:
    pod(worlds, volumes=projected({}))
    host_pod(worlds)
    worlds.tokens.clear()
    worlds.there[SECRETS, SECRET]["metadata"]["annotations"][pod_tokens.TIMES] = times
    worlds.settle(PODS, WEB)
    assert data(worlds) == {"api.0": "token-2"}
    assert "api.0" in json.loads(worlds.there[SECRETS, SECRET]["metadata"]["annotations"][pod_tokens.TIMES])


def test_a_foreign_secret_of_that_name_is_left_alone(worlds: Worlds) -> None:
    worlds.put_host(SECRETS, SECRET, data={"precious": "eA=="})
    pod(worlds, volumes=projected({}))
    (refusal,) = worlds.settle(PODS, WEB)
    assert isinstance(refusal, Refuse)
    assert worlds.there[SECRETS, SECRET]["data"] == {"precious": "eA=="}


def test_a_token_is_not_shown_in_a_traceback(worlds: Worlds) -> None:
    pod(worlds, volumes=projected({}))
    host_pod(worlds)
    assert "token-1" not in repr(list(worlds.tokens.values()))
