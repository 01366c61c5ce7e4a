from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_vcluster import errors
from pytest_vcluster.service.protocol import (
    Grant,
    LeaseRequest,
    LogRef,
    Run,
    decode,
    encode,
    error_event,
    raised,
)
from pytest_vcluster.settings import DEFAULT_NODES

plain = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=3)
REQUEST = LeaseRequest(version="v1.36.4", nodes=DEFAULT_NODES, holder="t.py::test", expected={"v1.36.4": 3})
GRANT = Grant(
    cluster="vc-1",
    version="v1.36.4",
    url="https://127.64.0.1:1",
    kubeconfig="{}",
    certificate_authority="CA",
    client_certificate="C",
    client_key="SECRET",
    client_ca_certificate="CC",
    client_ca_key="SECRET",
    revision=7,
    logs={"kube-apiserver": LogRef("/l", 3)},
    host={"kind": "embedded"},
    prepared_seconds=1.5,
    waited_seconds=0.1,
)


@given(st.dictionaries(st.text(), plain))
def test_a_message_is_one_line_and_comes_back_whole(message):
    line = encode(message)
    assert line.count(b"\n") == 1
    assert decode(line) == message


@pytest.mark.parametrize("line", [b"", b"[]", b"nonsense", b"3"])
def test_nonsense_is_refused(line):
    with pytest.raises(ValueError):
        decode(line)


@pytest.mark.parametrize("value", [REQUEST, GRANT, Run(id="r", controller_pid=3, directory=Path("/d"))])
def test_values_survive_the_wire(value):
    assert type(value).from_json(decode(encode(value.to_json()))) == value


def test_secrets_do_not_show_in_a_grants_repr():
    assert "SECRET" not in repr(GRANT)


@pytest.mark.parametrize(
    "error",
    [
        errors.ToolchainError("no etcd"),
        errors.Timeout("x", elapsed=1.0, last_seen="y"),
        errors.ApiError("m", status=404, reason="NotFound", method="GET", path="/x"),
    ],
)
def test_errors_keep_their_class_and_text(error):
    again = raised(decode(encode(error_event(error))))
    assert type(again) is type(error)
    assert str(again) == str(error)


def test_an_unexpected_error_becomes_ours_and_names_itself():
    again = raised(error_event(OSError("disk full")))
    assert type(again) is errors.ProvisionError
    assert "OSError: disk full" in str(again)


def test_notes_travel_with_an_error():
    error = errors.ProvisionError("a")
    error.add_note("tail of the log")
    assert "tail of the log" in str(raised(error_event(error)))
