import hashlib
import json

import pytest

from pytest_vcluster.controlplane.networks import SERVICE_RANGES
from pytest_vcluster.controlplane.template import ORIGIN, Template, from_state

UID = "11111111-2222-3333-4444-555555555555"
OTHER = "99999999-2222-3333-4444-555555555555"
TARGET = SERVICE_RANGES[17]
ROOT_CA = {
    b"configmaps/default/kube-root-ca.crt": {
        "metadata": {"name": "kube-root-ca.crt", "namespace": "default", "uid": UID, "resourceVersion": "7"},
        "data": {"ca.crt": "theirs"},
    }
}
STATE = {
    b"namespaces/default": b"k8s\0\x0a\x24" + UID.encode() + b"\x12",
    b"serviceaccounts/default/default": b"k8s\0" + OTHER.encode(),
    b"owners": UID.encode() + b" and " + OTHER.encode(),
    f"ipaddresses/{ORIGIN.kubernetes_ip}".encode(): b"\x0c" + ORIGIN.kubernetes_ip.encode(),
    b"configmaps/default/kube-root-ca.crt": b"protobuf",
    b"configmaps/kube-system/extension-apiserver-authentication": b"volatile",
    b"events/default/x": b"volatile",
    b"leases/kube-system/apiserver": b"volatile",
}


def clone(template, **kwargs):
    counter = iter(range(1000))
    return template.clone(
        service_range=TARGET,
        certificate_authority="OURS",
        new_uid=lambda: f"00000000-0000-0000-0000-{next(counter):012d}",
        **kwargs,
    )


def test_what_names_one_server_or_moment_is_left_out():
    kept = from_state("v1", STATE, ROOT_CA).entries
    assert not any(value == b"volatile" for value in kept.values())


def test_every_uid_is_new_and_references_still_match():
    made = clone(from_state("v1", STATE, ROOT_CA))
    assert not any(UID.encode() in value or OTHER.encode() in value for value in made.values())
    namespace = made[b"namespaces/default"][6:42]
    account = made[b"serviceaccounts/default/default"][4:]
    assert namespace != account
    assert made[b"owners"] == namespace + b" and " + account


def test_two_clones_share_no_uid():
    template = from_state("v1", STATE, ROOT_CA)
    one, other = (template.clone(service_range=TARGET, certificate_authority="") for _ in range(2))
    assert one[b"namespaces/default"] != other[b"namespaces/default"]


def test_lengths_never_change_so_protobuf_stays_valid():
    template = from_state("v1", STATE, ROOT_CA)
    made = clone(template)
    for key, value in template.entries.items():
        if not key.startswith(b"ipaddresses/"):
            assert len(made[key]) == len(value)


def test_service_addresses_move_in_keys_and_values():
    made = clone(from_state("v1", STATE, ROOT_CA))
    assert made[f"ipaddresses/{TARGET.kubernetes_ip}".encode()] == b"\x0c" + TARGET.kubernetes_ip.encode()


def test_the_published_root_certificate_is_the_clusters_own():
    published = json.loads(clone(from_state("v1", STATE, ROOT_CA))[b"configmaps/default/kube-root-ca.crt"])
    assert published["data"] == {"ca.crt": "OURS"}
    assert published["kind"] == "ConfigMap"
    assert "resourceVersion" not in published["metadata"]


def test_a_template_survives_the_cache():
    template = from_state("v1.36.4", STATE, ROOT_CA)
    assert Template.load(template.dump()) == template


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"format": 0}', b'{"format": 1, "version": "v1", "entries": 3}'])
def test_anything_else_is_refused(raw):
    with pytest.raises(ValueError):
        Template.load(raw)


def test_a_trust_bundle_is_renamed_after_the_certificate_that_it_publishes():
    def key(authority):
        digest = hashlib.sha256(authority.encode()).hexdigest()[:24]
        return f"clustertrustbundles/kubernetes.io:kube-apiserver-serving:{digest}".encode()

    bundle = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "ClusterTrustBundle",
        "metadata": {"name": key("OLD").decode().partition("/")[2], "uid": "x", "resourceVersion": "9"},
        "spec": {"signerName": "kubernetes.io/kube-apiserver-serving", "trustBundle": "OLD"},
    }
    template = from_state("v1", {key("OLD"): b"protobuf", b"a": b"b"}, {key("OLD"): bundle})
    made = Template.load(template.dump()).clone(service_range=SERVICE_RANGES[3], certificate_authority="NEW")
    assert sorted(made) == sorted([b"a", key("NEW")])
    published = json.loads(made[key("NEW")])
    assert published["metadata"] == {"name": key("NEW").decode().partition("/")[2], "uid": "x"}
    assert published["spec"] == {"signerName": "kubernetes.io/kube-apiserver-serving", "trustBundle": "NEW"}
