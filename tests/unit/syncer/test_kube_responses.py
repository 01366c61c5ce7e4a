import json

import pytest
from vcluster_syncer.kube import errors
from vcluster_syncer.kube.responses import Lines, parse_error, parse_event, parse_object, parse_page

GET = "GET /api/v1/pods"


def error(status, body=None, **headers):
    text = body if isinstance(body, bytes) else json.dumps({"kind": "Status", **(body or {})}).encode()
    return parse_error(status, text, headers, request=GET)


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (400, "BadRequest", errors.Invalid),
        (401, "Unauthorized", errors.Forbidden),
        (403, "Forbidden", errors.Forbidden),
        (404, "NotFound", errors.NotFound),
        (405, "MethodNotAllowed", errors.Rejected),
        (409, "Conflict", errors.Conflict),
        (409, "AlreadyExists", errors.AlreadyExists),
        (410, "Expired", errors.Gone),
        (410, "Gone", errors.Gone),
        (422, "Invalid", errors.Invalid),
        (429, "TooManyRequests", errors.TooManyRequests),
        (500, "InternalError", errors.ServerFailed),
        (503, "ServiceUnavailable", errors.ServerFailed),
    ],
)
def test_each_refusal_has_its_type(status, reason, kind):
    made = error(status, {"reason": reason, "message": "why"})
    assert type(made) is kind
    assert str(made) == f"{GET}: why"
    assert (made.status, made.reason) == (status, reason)


def test_patience_is_asked_for_in_the_header_or_in_the_details():
    assert error(429, {}, **{"Retry-After": "7"}).retry_after == 7
    assert error(503, {"details": {"retryAfterSeconds": 3}}).retry_after == 3
    assert error(500, {}).retry_after is None


def test_429_without_a_number_means_a_second():
    assert error(429, {}).retry_after == 1
    assert error(429, {}, **{"Retry-After": "0"}).retry_after == 1
    assert error(429, {}, **{"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}).retry_after == 1


def test_causes_are_told_by_field():
    made = error(422, {"details": {"causes": [{"field": "metadata.uid"}, {"message": "no field"}]}})
    assert made.fields == {"metadata.uid"}


def test_an_answer_that_is_not_kubernetes_is_quoted():
    assert "HTTP 502: <html>bad gateway" in str(error(502, b"<html>bad gateway"))
    with pytest.raises(errors.ServerFailed, match="expected a JSON object, got b'<html>"):
        parse_object(b"<html>", request=GET)


def test_a_page_knows_whether_there_is_more():
    page = parse_page(b'{"metadata":{"resourceVersion":"5","continue":"x"},"items":[{"a":1}]}', request=GET)
    assert (page.items, page.revision, page.continue_token) == (({"a": 1},), "5", "x")
    assert parse_page(b'{"metadata":{"resourceVersion":"5"},"items":null}', request=GET).items == ()


def test_an_error_event_is_raised_as_what_it_says():
    with pytest.raises(errors.Gone, match="too old"):
        parse_event(b'{"type":"ERROR","object":{"code":410,"message":"too old"}}', request=GET)
    with pytest.raises(errors.ServerFailed):
        parse_event(b'{"type":"ERROR","object":{}}', request=GET)
    with pytest.raises(errors.ServerFailed, match="expected a watch event"):
        parse_event(b'{"kind":"Status"}', request=GET)


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_lines_are_found_wherever_the_stream_is_cut_into_pieces(size):
    data = b'{"a":1}\n\n{"b":2}\n{"cut of'
    lines = Lines()
    found = [line for start in range(0, len(data), size) for line in lines.feed(data[start : start + size])]
    assert found == [b'{"a":1}', b'{"b":2}']
