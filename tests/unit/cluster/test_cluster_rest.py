import socket
import time

import pytest
from cluster_server import Answer, client_of, refusal

from pytest_vcluster.cluster.rest import APPLY, Rest, Unreachable
from pytest_vcluster.errors import ApiError, Timeout


def test_json_goes_out_and_comes_back():
    with client_of(lambda request: Answer(document={"got": request.body, **request.query})) as (rest, requests):
        assert rest.call("POST", "/x", query={"a": "b c"}, body={"n": 1}) == {"got": {"n": 1}, "a": "b c"}
        assert requests[0].headers["Content-Type"] == "application/json"
        assert requests[0].headers["Accept"] == "application/json"
        assert rest.call("GET", "/x") == {"got": None}
        assert requests[1].headers["Content-Type"] is None


def test_an_error_has_the_servers_reason():
    with client_of(lambda _: refusal(404, "NotFound", 'pods "x" not found')) as (rest, _):
        with pytest.raises(ApiError, match='GET /x: 404 NotFound: pods "x" not found') as caught:
            rest.call("GET", "/x")
        assert (caught.value.status, caught.value.reason) == (404, "NotFound")


@pytest.mark.parametrize("text", [b"404 page not found", b"[1]", b"\xff\xfe"])
def test_an_error_without_a_reason_is_told_as_it_is(text):
    with client_of(lambda _: Answer(500, text)) as (rest, _), pytest.raises(ApiError) as caught:
        rest.call("GET", "/x")
    assert caught.value.status == 500
    assert text.decode(errors="replace") in str(caught.value)


def test_an_answer_that_is_no_object_is_an_error():
    with (
        client_of(lambda _: Answer(200, b"<html>")) as (rest, _),
        pytest.raises(ApiError, match="no JSON object: <html>"),
    ):
        rest.call("GET", "/x")


def test_the_server_may_ask_for_patience():
    busy = [Answer(429, headers={"Retry-After": "0"}), Answer(429, headers={"Retry-After": "0"}), Answer()]
    with client_of(lambda _: busy.pop(0)) as (rest, requests):
        rest.call("POST", "/x", body={})
        assert len(requests) == 3


def test_patience_ends_with_the_timeout():
    with client_of(lambda _: Answer(429, headers={"Retry-After": "60"})) as (rest, requests):
        with pytest.raises(ApiError) as caught:
            rest.call("GET", "/x", timeout=1)
        assert (caught.value.status, len(requests)) == (429, 1)


def test_a_429_without_a_time_is_an_error_such_as_that_of_a_disruption_budget():
    with client_of(lambda _: refusal(429, "TooManyRequests", "budget")) as (rest, requests):
        with pytest.raises(ApiError, match="budget"):
            rest.call("POST", "/x", body={})
        assert len(requests) == 1


@pytest.mark.parametrize(
    ("method", "content_type"), [("GET", "application/json"), ("DELETE", "application/json"), ("PATCH", APPLY)]
)
def test_what_may_be_repeated_is_sent_again_after_a_reset(method, content_type):
    answers = [Answer(cut=True), Answer(document={"ok": 1})]
    with client_of(lambda _: answers.pop(0)) as (rest, _):
        assert rest.call(method, "/x", body={"a": 1}, content_type=content_type) == {"ok": 1}


@pytest.mark.parametrize(
    ("method", "content_type"), [("POST", "application/json"), ("PATCH", "application/json-patch+json")]
)
def test_what_must_not_be_repeated_is_sent_once(method, content_type):
    with client_of(lambda _: Answer(cut=True)) as (rest, requests):
        with pytest.raises(Unreachable):
            rest.call(method, "/x", body={}, content_type=content_type)
        assert len(requests) == 1


def test_resets_without_end_are_an_error():
    with client_of(lambda _: Answer(cut=True)) as (rest, requests):
        with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1"):
            rest.call("GET", "/x")
        assert len(requests) == 3


def test_nobody_there_is_told_with_the_address():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    rest = Rest(f"http://127.0.0.1:{port}", tls=None, timeout=1)
    with pytest.raises(Unreachable, match=str(port)):
        rest.call("GET", "/x")
    rest.close()


def test_no_answer_is_a_timeout():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        rest = Rest(f"http://127.0.0.1:{listener.getsockname()[1]}", tls=None, timeout=0.1)
        began = time.monotonic()
        with pytest.raises(Timeout, match="GET /x: not within 0.1 s"):
            rest.call("GET", "/x")
        assert time.monotonic() - began < 5
        rest.close()


def test_no_proxy_of_the_environment_is_asked(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with client_of(lambda _: Answer(document={"ok": 1})) as (rest, _):
        assert rest.call("GET", "/x") == {"ok": 1}


def test_watch_events_come_one_by_one_however_they_are_cut():
    lines = [b'{"n": 1}\n{"n"', b": 2}\n", b'{"n": 3}\n']
    with client_of(lambda _: Answer(lines=lines)) as (rest, requests):
        assert list(rest.watch("/x", query={"a": "b"}, timeout=5)) == [{"n": 1}, {"n": 2}, {"n": 3}]
        assert requests[0].query == {"a": "b", "watch": "1"}


def test_a_silent_watch_ends():
    def silence():
        yield {"n": 1}
        time.sleep(0.3)

    with client_of(lambda _: Answer(lines=silence())) as (rest, _):
        assert list(rest.watch("/x", query={}, timeout=0.1)) == [{"n": 1}]


def test_a_watch_that_is_refused_is_an_error():
    with client_of(lambda _: refusal(410, "Expired", "too old")) as (rest, _), pytest.raises(ApiError) as caught:
        list(rest.watch("/x", query={}, timeout=5))
    assert caught.value.status == 410
