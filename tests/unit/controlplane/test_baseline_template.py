"""A cluster's state made fit for others: what is renewed, what is moved, and what must never be touched."""

import json
import re
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_vcluster.controlplane.baseline import obstacle, template_of
from pytest_vcluster.controlplane.networks import SERVICE_RANGES
from pytest_vcluster.controlplane.template import ORIGIN, Template

HERE, THERE = SERVICE_RANGES[3], SERVICE_RANGES[17]
OWN = "11111111-2222-3333-4444-555555555555"
OWN_TOO = "22222222-2222-3333-4444-555555555555"
THEIRS = "99999999-2222-3333-4444-555555555555"
CA_KEY = b"configmaps/default/kube-root-ca.crt"
ROOT_CA = {CA_KEY: {"metadata": {"name": "kube-root-ca.crt", "uid": OWN_TOO, "resourceVersion": "7"}, "data": {}}}


def message(*fields):
    """A protobuf message of byte strings, as (number, value)."""
    return b"".join(bytes([number << 3 | 2]) + varint(len(value)) + value for number, value in fields)


def varint(number):
    return bytes([number]) if number < 128 else bytes([number % 128 + 128]) + varint(number // 128)


def protobuf(uid, *more, name=b"a", references=()):
    """A built-in object as the API server stores it: metadata is its first field, the uid is metadata's fifth."""
    owners = [(13, message((5, b"owner"), (4, reference.encode()))) for reference in references]
    metadata = message((1, name), (3, b"default"), (5, uid.encode()), *owners)
    return b"k8s\0\n\x0b\n\x02v1\x12\x05Thing\x12" + message((1, metadata), *more)


def stored_json(uid, *, references=(), **fields):
    """A custom object as the API server stores it."""
    metadata = {"name": "a", "uid": uid, "ownerReferences": [{"name": "owner", "uid": each} for each in references]}
    return json.dumps({"apiVersion": "example.com/v1", "metadata": metadata, **fields}, separators=(",", ":")).encode()


def template(**state):
    entries = {key.replace("__", "/").encode(): value for key, value in state.items()}
    return template_of("v1.36.4", entries, {}, service_range=HERE)


def cloned(made, **options):
    return made.clone(service_range=THERE, certificate_authority="OURS", **options)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"pods/default/web", b"-", "it has pods, which run on the host"),
        (b"persistentvolumes/pv-1", b"-", "it has volumes, which are on the host"),
        (b"persistentvolumeclaims/default/data", b"-", "it has claims, whose volumes are on the host"),
        (
            b"secrets/default/token",
            b"k8s\0...kubernetes.io/service-account-token...",
            "it has a token that this cluster signed",
        ),
    ],
)
def test_what_would_mean_something_else_elsewhere_is_told(key, value, reason):
    assert obstacle({b"configmaps/default/a": b"-", key: value}) == reason


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"deployments/default/web", b"-"),
        (b"podtemplates/default/web", b"-"),
        (b"poddisruptionbudgets/default/web", b"-"),
        (b"secrets/default/mine", b"k8s\0...Opaque..."),
        (b"configmaps/default/a", b"kubernetes.io/service-account-token"),
        (b"minions/node-1", b"-"),
        (b"example.com/pods/default/web", b"-"),
    ],
)
def test_everything_else_can_be_cloned(key, value):
    assert obstacle({key: value}) == ""


def test_nothing_is_no_obstacle():
    assert obstacle({}) == ""


def test_own_uids_are_renewed_wherever_they_are_referred_to():
    made = template(
        namespaces__default=protobuf(OWN),
        configmaps__default__a=protobuf(OWN_TOO, references=[OWN]),
        **{"example.com__widgets__default__a": stored_json(OWN_TOO, references=[OWN])},
    )
    assert made.uids == {OWN, OWN_TOO}
    first, second = (cloned(made, new_uid=iter(f"{n}" * 36 for n in (x, x + 1)).__next__) for x in (1, 3))
    for clone, new in ((first, ["1" * 36, "2" * 36]), (second, ["3" * 36, "4" * 36])):
        assert not any(OWN.encode() in value or OWN_TOO.encode() in value for value in clone.values())
        assert clone[b"namespaces/default"] == protobuf(new[0])
        assert clone[b"configmaps/default/a"] == protobuf(new[1], references=[new[0]])
        assert clone[b"example.com/widgets/default/a"] == stored_json(new[1], references=[new[0]])


def test_a_uid_that_an_object_of_another_cluster_had_is_left_alone():
    made = template(configmaps__default__a=protobuf(OWN, references=[THEIRS]))
    assert made.uids == {OWN}
    assert THEIRS.encode() in cloned(made)[b"configmaps/default/a"]


USERS = [
    protobuf(OWN, (2, message((1, b"id"), (2, THEIRS.encode())))),
    protobuf(OWN, (2, message((1, b"dashboard.json"), (2, b'{"uid":"' + THEIRS.encode() + b'"}')))),
    protobuf(OWN, (2, message((1, b"note"), (2, b"see " + THEIRS.encode() + b" and " + THEIRS.encode())))),
    stored_json(OWN, spec={"id": THEIRS}),
    stored_json(OWN, spec={"uid": THEIRS}),
    stored_json(OWN, spec={"text": f'{{"uid":"{THEIRS}"}}', "template": {"metadata": {"uid": THEIRS}}}),
    stored_json(OWN, status={"observed": [{"uid": THEIRS}]}),
]


@pytest.mark.parametrize(
    "value",
    USERS,
    ids=["data", "JSON in data", "text", "spec", "spec.uid", "template", "status"],
)
def test_a_uuid_in_what_a_user_wrote_is_left_alone(value):
    made = template(configmaps__default__a=value)
    assert made.uids == {OWN}
    assert cloned(made, new_uid=lambda: "0" * 36)[b"configmaps/default/a"] == value.replace(OWN.encode(), b"0" * 36)


def test_service_addresses_are_moved_to_the_range_of_each_cluster():
    state = {
        b"services/specs/default/web": protobuf(OWN, (2, HERE.kubernetes_ip.encode())),
        f"ipaddresses/{HERE.kubernetes_ip}".encode(): protobuf(OWN_TOO),
    }
    made = template_of("v1.36.4", state, {}, service_range=HERE)
    assert f"ipaddresses/{ORIGIN.kubernetes_ip}".encode() in made.entries
    clone = cloned(made)
    assert f"ipaddresses/{THERE.kubernetes_ip}".encode() in clone
    assert THERE.kubernetes_ip.encode() in clone[b"services/specs/default/web"]
    assert not any(HERE.kubernetes_ip.encode() in value for value in clone.values())


def test_what_names_this_cluster_or_its_host_stays_behind():
    made = template(
        configmaps__default__a=protobuf(OWN),
        minions__node_1=b"mirrored",
        **{
            "events__default__a.1": b"a moment",
            "leases__kube-system__apiserver-x": b"a server",
            "configmaps__kube-system__extension-apiserver-authentication": b"a server",
        },
    )
    assert list(made.entries) == [b"configmaps/default/a"]


def test_the_lease_that_a_user_laid_is_cloned_too():
    made = template(leases__default__my_operator=protobuf(OWN))
    assert b"leases/default/my_operator" in made.entries


def test_the_root_certificate_is_each_clusters_own_and_its_config_map_is_renewed():
    state = {CA_KEY: b"protobuf", b"configmaps/default/a": protobuf(OWN, references=[OWN_TOO])}
    made = template_of("v1.36.4", state, ROOT_CA, service_range=HERE)
    assert made.uids == {OWN, OWN_TOO}
    clone = cloned(made)
    published = json.loads(clone[CA_KEY])
    assert published["data"] == {"ca.crt": "OURS"}
    assert published["metadata"]["uid"] != OWN_TOO
    assert published["metadata"]["uid"].encode() in clone[b"configmaps/default/a"]


def test_a_baseline_survives_the_cache_with_its_uids():
    state = {CA_KEY: b"protobuf", b"configmaps/default/a": USERS[0]}
    made = template_of("v1.36.4", state, ROOT_CA, service_range=HERE)
    assert Template.load(made.dump()) == made
    assert cloned(Template.load(made.dump()), new_uid=lambda: "0" * 36) == cloned(made, new_uid=lambda: "0" * 36)


def test_a_template_without_uids_still_renews_whatever_looks_like_one():
    plain = Template(version="v1", entries={b"a": OWN.encode()}, root_ca={}, uids=None)
    assert Template.load(plain.dump()) == plain
    assert cloned(plain, new_uid=lambda: "0" * 36) == {b"a": b"0" * 36}


uuids = st.uuids(version=4).map(str)
texts = st.text(alphabet="abc .:-{}\"'\n", max_size=20)


@given(st.lists(uuids, unique=True, min_size=2, max_size=6), st.lists(texts, min_size=6, max_size=6), st.data())
def test_a_clone_differs_in_own_uids_and_in_nothing_else(ids, texts, data):
    own, theirs = ids[::2], ids[1::2]
    state = {}
    for number, uid in enumerate(own):
        written = texts[number] + data.draw(st.sampled_from(theirs)) + texts[-number]
        refers = data.draw(st.lists(st.sampled_from(own), max_size=2))
        if data.draw(st.booleans()):
            value = stored_json(uid, references=refers, spec={"uid": theirs[0], "text": written})
        else:
            value = protobuf(uid, (2, written.encode()), references=refers)
        state[b"configmaps/default/%d" % number] = value
    made = template_of("v1", state, {}, service_range=HERE)
    assert made.uids == set(own)
    renewed = {}
    clone = cloned(made, new_uid=lambda: renewed.setdefault(len(renewed), f"{len(renewed):036d}"))
    for key, value in state.items():
        assert len(clone[key]) == len(value)
        back = re.sub(rb"0{30}\d{6}", lambda _match: b"?" * 36, clone[key])
        forth = re.sub("|".join(own).encode(), lambda _match: b"?" * 36, value)
        assert back == forth


def test_binary_values_survive():
    value = protobuf(OWN, (2, bytes(range(100))))
    made = template(secrets__default__a=value)
    assert cloned(made, new_uid=lambda: OWN)[b"secrets/default/a"] == value
    assert b64encode(value).decode() in made.dump().decode()
