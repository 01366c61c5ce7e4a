import json
from pathlib import Path

import pytest

from pytest_vcluster import errors
from pytest_vcluster.service import lease_terms, protocol
from pytest_vcluster.service.protocol import decode, encode
from pytest_vcluster.service.wire_errors import describe_error, rebuild_error
from pytest_vcluster.settings import NodeShape

REQUEST = lease_terms.LeaseRequest(
    version="v1.36.4",
    isolation="fresh",
    nodes=(NodeShape(name="a", taints=({"key": "gpu", "effect": "NoSchedule"},)),),
    holder="test_a.py::test_b[ü]",
    expected={"v1.36.4": 3},
)
GRANT = lease_terms.Grant(
    **dict.fromkeys(
        (
            "cluster",
            "version",
            "url",
            "kubeconfig",
            "certificate_authority",
            "client_certificate",
            "client_key",
            "client_ca_certificate",
            "client_ca_key",
            "gate",
        ),
        "line\nline",
    ),
    revision=12,
    logs={"kube-apiserver": lease_terms.LogRef(path="/l", offset=3)},
    host={"kind": "embedded"},
    prepared_seconds=1.5,
    waited_seconds=0.02,
)
DEATH = lease_terms.Death(component="etcd", status="killed by signal 9", log="/l", tail="…")
KEPT = lease_terms.Kept(cluster="vc-1", version="v1.36.4", kubeconfig="/k", holder="test")


@pytest.mark.parametrize(
    "message",
    [
        protocol.OpenLease(request=REQUEST, asked=12.5),
        protocol.Release(keep=True),
        protocol.DescribeHost(),
        protocol.Summarize(),
        protocol.Describe(),
        protocol.LiveOn(),
        protocol.EndKept(cluster="vc-1"),
        protocol.EndKept(),
        protocol.ShutDown(),
        protocol.Progress(text="building", quiet=True),
        protocol.Granted(grant=GRANT),
        protocol.Died(death=DEATH),
        protocol.Released(kept=KEPT),
        protocol.Released(),
        protocol.HostFacts(facts={"nodes": ["a"]}),
        protocol.Summary(totals={"leases": 1}),
        protocol.Status(pid=1, controller_pid=2, lives_on=True, clusters={"vc-1": "kept"}, kept=(KEPT,)),
        protocol.Failed(error={"class": "HostError", "message": "x", "fields": {}}),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_survives_the_wire_as_one_line(message):
    line = encode(message)
    assert line.count(b"\n") == 1
    assert (type(decode(line)), decode(line)) == (type(message), message)


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b'{"": "Nonsense"}', b'{"": "Release", "keeep": 1}', b"\xff"])
def test_what_is_no_message_is_refused(line):
    with pytest.raises(ValueError, match="not a message"):
        decode(line)


@pytest.mark.parametrize(
    "error",
    [
        errors.ProvisionError("no"),
        errors.Timeout("a step", elapsed=2.0, last_seen="nothing", evidence=Path("/e")),
        errors.ComponentDied("etcd", status="exit code 1", log=Path("/l"), tail="x"),
        errors.ApiError("no", status=404, reason="NotFound"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_the_wire(error):
    error.add_note("while testing")
    rebuilt = rebuild_error(json.loads(json.dumps(describe_error(error))))
    assert type(rebuilt) is type(error)
    assert str(rebuilt) == str(error)
    assert vars(rebuilt) == vars(error)


def test_a_foreign_error_becomes_one_for_users():
    rebuilt = rebuild_error(describe_error(KeyError("x")))
    assert type(rebuilt) is errors.ProvisionError
    assert str(rebuilt) == "The run service failed: KeyError: 'x'"
