"""What a pod calls itself."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syncer_worlds import Worlds, host_pod, pod, tenant
from vcluster_syncer.translate import pod_hostname

FULL = "web-0.db.default.svc.cluster.local"
PEER = {"hostname": "web-0", "subdomain": "db"}


def names(name: str = "web-0", namespace: str = "default", **spec: Any) -> dict[str, Any]:
    made = host_pod_spec(name, namespace, **spec)
    return {field: made[field] for field in sorted(pod_hostname.FIELDS) if field in made}


def host_pod_spec(name: str, namespace: str, **spec: Any) -> dict[str, Any]:
    worlds = Worlds()
    pod(worlds, name, namespace, **spec)
    found: dict[str, Any] = host_pod(worlds, name, namespace)["spec"]
    return found


@pytest.mark.parametrize(
    ("spec", "made"),
    [
        ({}, {"hostname": "web-0"}),
        ({"hostname": "mine"}, {"hostname": "mine"}),
        (PEER, {"hostname": "web-0"}),
        ({**PEER, "setHostnameAsFQDN": True}, {"hostname": "web-0", "hostnameOverride": FULL}),
        ({"setHostnameAsFQDN": True}, {"hostname": "web-0"}),
        ({"hostnameOverride": "a.b"}, {"hostname": "web-0", "hostnameOverride": "a.b"}),
        ({"hostNetwork": True}, {}),
        ({"hostNetwork": True, "hostname": "mine", "subdomain": "db"}, {"hostname": "mine"}),
    ],
)
def test_short_unless_asked_for_in_full(spec: dict[str, Any], made: dict[str, Any]) -> None:
    assert names(**spec) == made


def test_what_linux_has_no_room_for_stays_short() -> None:
    assert names(namespace="n" * 40, **PEER, setHostnameAsFQDN=True) == {"hostname": "web-0"}


LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)


@given(
    LABEL,
    LABEL,
    st.lists(LABEL, min_size=1, max_size=4).map(lambda labels: ".".join(labels)[:253].rstrip("-.")),
    st.booleans(),
)
def test_is_always_a_legal_name_and_never_in_the_hosts_domain(
    namespace: str, subdomain: str, name: str, in_full: bool
) -> None:
    virtual = {"metadata": {"name": name, "namespace": namespace}, "spec": {"subdomain": subdomain}}
    virtual["spec"]["setHostnameAsFQDN"] = in_full  # type: ignore[assignment]
    made = pod_hostname.to_host(virtual, tenant())
    assert 1 <= len(made["hostname"]) <= 63
    assert "." not in made["hostname"]
    assert not made["hostname"].endswith("-")
    assert len(made.get("hostnameOverride", "")) <= 64
    assert "subdomain" not in made, "the kubelet would add the host's domain"
