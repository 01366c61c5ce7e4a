from vcluster_syncer.engine.tokens import Tokens
from vcluster_syncer.model import TokenRequest


def request(pod="web", **fields):
    return TokenRequest(namespace="default", service_account="default", pod_name=pod, pod_uid=f"uid-{pod}", **fields)


def answer(expires, token="t"):
    return {"status": {"token": token, "expirationTimestamp": expires}}


def test_a_token_is_found_by_exactly_the_request_that_asked_for_it():
    tokens = Tokens(lambda: 0.0)
    tokens.put(request(), answer("1970-01-01T01:00:00Z"))
    assert tokens.get(request()).value == "t"
    assert tokens.get(request()).expires == 3600
    assert tokens.get(request(audiences=("vault",))) is None
    assert tokens.get(request(renew=1)) is None


def test_a_token_that_has_expired_is_not_there_and_takes_no_memory():
    now = 0.0
    tokens = Tokens(lambda: now)
    tokens.put(request(), answer("1970-01-01T00:10:00Z"))
    now = 601.0
    assert tokens.get(request()) is None
    tokens.put(request("other"), answer("1970-01-01T01:00:00Z"))
    assert len(tokens) == 1


def test_memory_is_bounded():
    tokens = Tokens(lambda: 0.0)
    for number in range(5000):
        tokens.put(request(str(number)), answer("1970-01-01T01:00:00Z"))
    assert len(tokens) == 4096
    assert tokens.get(request("4999")) is not None


def test_a_token_is_not_shown_when_printed():
    tokens = Tokens(lambda: 0.0)
    tokens.put(request(), answer("1970-01-01T01:00:00Z", "secret"))
    assert "secret" not in repr(tokens.get(request()))
