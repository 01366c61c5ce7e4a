"""What a canary stores, what is asked for it, and which answers show it at work: facts about the API server as data."""

import json
from uuid import UUID

import pytest
from vcluster_syncer.recycle.canaries import (
    CANARIES,
    Answer,
    is_canary,
    named,
    needed,
    of_controllers,
    stored,
)
from vcluster_syncer.recycle.canary_objects import PREFIX, dry_run_lease
from vcluster_syncer.recycle.stored import collection_of

NAME = PREFIX + "1a2b3c4d5-0"
BY_COLLECTION = {collection: canary for canary in CANARIES for collection in canary.collections}
each_canary = pytest.mark.parametrize(
    "canary", CANARIES, ids=["-and-".join(sorted(canary.collections)) for canary in CANARIES]
)


def asked(canary, name=NAME):
    request = canary.ask(name)
    return request, json.loads(request.body)


@each_canary
def test_it_stores_objects_of_exactly_its_collections_under_its_name(canary):
    objects = canary.objects(NAME)
    assert {collection_of(key.encode()) for key, _ in objects} == canary.collections
    for key, made in objects:
        collection, *namespace, name = key.rsplit("/", 2) if made["metadata"].get("namespace") else key.rsplit("/", 1)
        assert (collection, name) == (collection_of(key.encode()), NAME)
        assert [made["metadata"]["name"], *namespace] == [
            value for field, value in made["metadata"].items() if field in ("name", "namespace")
        ]
        assert is_canary(key.encode())


@each_canary
def test_its_objects_are_whole_ones_that_an_api_server_can_read(canary):
    found = [json.loads(value) for value in stored({NAME: canary}).values()]
    assert len(found) == len(canary.objects(NAME))
    for made in found:
        assert made["apiVersion"]
        assert made["kind"]
        assert UUID(made["metadata"]["uid"])
        assert made["metadata"]["creationTimestamp"].endswith("Z")
    assert len({made["metadata"]["uid"] for made in found}) == len(found)


def test_what_controllers_see_to_is_a_canary_too():
    found = {collection_of(key): (key, json.loads(value)) for key, value in of_controllers(NAME).items()}
    assert set(found) == {"configmaps", "resourcequotas"}
    assert all(is_canary(key) for key, _ in found.values())
    (owner,) = found["configmaps"][1]["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("ConfigMap", f"{NAME}-owner")
    assert "status" not in found["resourcequotas"][1]


def test_no_two_canaries_share_a_key():
    everything = named(CANARIES, "t")
    assert len(stored(everything)) == sum(len(canary.objects("n")) for canary in CANARIES)
    assert len(BY_COLLECTION) == sum(len(canary.collections) for canary in CANARIES)


@each_canary
def test_asking_changes_nothing_and_is_about_this_canary_only(canary):
    request, body = asked(canary)
    assert request.method == "POST"
    assert NAME in request.body.decode()
    if body["kind"] == "SubjectAccessReview":
        assert request.path == "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    else:
        assert request.path.endswith("?dryRun=All")
        assert body["metadata"] == {"name": NAME, "labels": {PREFIX + "for": NAME}}


@pytest.mark.parametrize(
    ("collection", "path", "fields"),
    [
        ("validatingwebhookconfigurations", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases", {"spec": {}}),
        ("mutatingwebhookconfigurations", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases", {"spec": {}}),
        ("validatingadmissionpolicies", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases", {"spec": {}}),
        ("mutatingadmissionpolicies", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases", {"spec": {}}),
        ("resourcequotas", "/api/v1/namespaces/kube-system/configmaps", {}),
        (
            "storageclasses",
            "/api/v1/namespaces/kube-system/persistentvolumeclaims",
            {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
        ),
        (
            "ingressclasses",
            "/apis/networking.k8s.io/v1/namespaces/kube-system/ingresses",
            {"spec": {"defaultBackend": {"service": {"name": "none", "port": {"number": 80}}}}},
        ),
        (
            "priorityclasses",
            "/api/v1/namespaces/kube-system/pods",
            {"spec": {"containers": [{"name": "none", "image": "none.invalid/none"}], "priorityClassName": NAME}},
        ),
        (
            "runtimeclasses",
            "/api/v1/namespaces/kube-system/pods",
            {"spec": {"containers": [{"name": "none", "image": "none.invalid/none"}], "runtimeClassName": NAME}},
        ),
    ],
)
def test_what_is_asked_to_be_created(collection, path, fields):
    request, body = asked(BY_COLLECTION[collection])
    assert request.path == path + "?dryRun=All"
    del body["metadata"], body["apiVersion"], body["kind"]
    assert body == fields


@pytest.mark.parametrize(
    ("collection", "user", "namespace"),
    [("clusterroles", NAME, ""), ("rolebindings", f"{NAME}-ns", "kube-system")],
)
def test_which_right_is_asked_for(collection, user, namespace):
    canary = BY_COLLECTION[collection]
    _, body = asked(canary)
    attributes = {"verb": "get", "group": "", "resource": NAME, "namespace": namespace}
    assert body["spec"] == {"user": user, "resourceAttributes": attributes}
    role, binding = (made for _, made in canary.objects(NAME))
    assert role["rules"] == [{"apiGroups": [""], "resources": [NAME], "verbs": ["get"]}]
    assert binding["roleRef"]["kind"] == role["kind"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert [subject["name"] for subject in binding["subjects"]] == [user]


@pytest.mark.parametrize("collection", ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"])
def test_a_webhook_is_called_for_its_own_request_only_and_nobody_listens(collection):
    canary = BY_COLLECTION[collection]
    [(_, made)] = canary.objects(NAME)
    [hook] = made["webhooks"]
    _, body = asked(canary)
    assert hook["objectSelector"] == {"matchLabels": body["metadata"]["labels"]}
    assert (hook["failurePolicy"], hook["clientConfig"]) == ("Fail", {"url": "https://127.0.0.1:1/"})
    assert [rule["resources"] for rule in hook["rules"]] == [["leases"]]
    assert ("reinvocationPolicy" in hook) is made["kind"].startswith("Mutating")


@pytest.mark.parametrize("collection", ["validatingadmissionpolicies", "mutatingadmissionpolicies"])
def test_a_policy_matches_its_own_request_only_and_is_bound(collection):
    canary = BY_COLLECTION[collection]
    policy, binding = (made for _, made in canary.objects(NAME))
    _, body = asked(canary)
    assert policy["spec"]["matchConstraints"]["objectSelector"] == {"matchLabels": body["metadata"]["labels"]}
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]


@pytest.mark.parametrize(
    ("collection", "annotation"),
    [
        ("storageclasses", "storageclass.kubernetes.io/is-default-class"),
        ("ingressclasses", "ingressclass.kubernetes.io/is-default-class"),
    ],
)
def test_a_class_is_the_default_because_it_is_newer_than_any(collection, annotation):
    [(_, made)] = BY_COLLECTION[collection].objects(NAME)
    assert made["metadata"]["annotations"] == {annotation: "true"}
    assert made["metadata"]["creationTimestamp"] > "2099"


@pytest.mark.parametrize(
    ("collections", "expected"),
    [
        ([], []),
        (["configmaps", "example.com/widgets", "services/specs"], []),
        (["clusterroles"], ["clusterroles"]),
        (["clusterroles", "clusterrolebindings"], ["clusterroles"]),
        (["roles", "clusterrolebindings", "pods"], ["clusterroles", "roles"]),
        (["runtimeclasses", "resourcequotas", "limitranges"], ["resourcequotas", "runtimeclasses"]),
    ],
)
def test_canaries_are_chosen_by_what_changed(collections, expected):
    assert needed(frozenset(collections)) == tuple(BY_COLLECTION[each] for each in expected)


def test_whatever_a_canary_is_for_it_is_chosen_for():
    assert all(needed(frozenset({collection})) == (canary,) for collection, canary in BY_COLLECTION.items())
    assert needed(frozenset(BY_COLLECTION)) == CANARIES


def test_each_has_a_name_of_its_own():
    one, other = named(CANARIES, "1a"), named(CANARIES, "1b")
    assert tuple(one.values()) == CANARIES
    assert len({*one, *other}) == 2 * len(CANARIES)
    assert all(name.startswith(PREFIX) for name in (*one, *other))


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (f"clusterroles/{NAME}", True),
        (f"roles/kube-system/{NAME}", True),
        ("clusterroles/admin", False),
        (f"roles/{PREFIX}x/mine", False),
        (f"clusterroles/my-{NAME}", False),
        ("clusterroles/vcluster-barrier", False),
    ],
)
def test_canaries_are_known_by_their_names(key, told):
    assert is_canary(key.encode()) is told


def object_with(**spec):
    return Answer(object={"metadata": {"name": NAME}, "spec": spec})


LEASE = f'leases.coordination.k8s.io "{NAME}" is forbidden: '
CLAIM = f'persistentvolumeclaims "{NAME}" is forbidden: '
MAP = f'configmaps "{NAME}" is forbidden: '
DENIED = "ValidatingAdmissionPolicy '%s' with binding '%s' denied request: %s"
CALLED = (
    'Internal error occurred: failed calling webhook "%s": failed to call webhook: Post "https://127.0.0.1:1/?timeout='
    '1s": dial tcp 127.0.0.1:1: connect: connection refused'
)
USED = ", requested: count/configmaps=1, used: count/configmaps=0, limited: count/configmaps=0"

SEEN = [
    ("clusterroles", Answer(object={"status": {"allowed": True}})),
    ("roles", Answer(object={"status": {"allowed": True}})),
    ("validatingwebhookconfigurations", Answer(message=CALLED % f"{NAME}.invalid.example")),
    ("mutatingwebhookconfigurations", Answer(message=CALLED % f"{NAME}.invalid.example")),
    ("validatingadmissionpolicies", Answer(message=LEASE + DENIED % (NAME, NAME, NAME))),
    ("mutatingadmissionpolicies", Answer(object={"metadata": {"annotations": {"barrier": NAME}}})),
    ("resourcequotas", Answer(message=MAP + f"exceeded quota: {NAME}" + USED)),
    ("storageclasses", object_with(storageClassName=NAME)),
    ("ingressclasses", object_with(ingressClassName=NAME)),
    ("priorityclasses", object_with(priorityClassName=NAME, priority=1)),
    ("runtimeclasses", object_with(runtimeClassName=NAME)),
]

OTHERS = {
    # What is at work there must be gone, not taken for the canary: the test's own, seen by a copy that lags.
    "clusterroles": [Answer(object={"status": {"allowed": False, "reason": NAME}}), Answer(object={})],
    "roles": [Answer(object={"status": {"allowed": False}}), Answer(object={})],
    "validatingwebhookconfigurations": [Answer(message=CALLED % "theirs.example.com"), object_with()],
    "mutatingwebhookconfigurations": [Answer(message=CALLED % "theirs.example.com"), object_with()],
    "validatingadmissionpolicies": [Answer(message=LEASE + DENIED % ("theirs", "theirs", "never")), object_with()],
    "mutatingadmissionpolicies": [
        Answer(object={"metadata": {"annotations": {"barrier": "other"}}}),
        Answer(object={"metadata": {"annotations": None}}),
        Answer(object={"metadata": {}}),
    ],
    "resourcequotas": [Answer(message=MAP + "exceeded quota: theirs" + USED), object_with()],
    "storageclasses": [object_with(), object_with(storageClassName="theirs")],
    "ingressclasses": [object_with(), object_with(ingressClassName="theirs")],
    "priorityclasses": [object_with(priorityClassName="theirs"), Answer(message=f'no PriorityClass "{NAME}"')],
    "runtimeclasses": [object_with(), Answer(message=f'RuntimeClass "{NAME}" not found')],
}


@pytest.mark.parametrize(("collection", "answer"), SEEN, ids=[collection for collection, _ in SEEN])
def test_an_answer_that_shows_it_at_work(collection, answer):
    assert BY_COLLECTION[collection].seen(NAME, answer)


# A review answers with a bare yes: there the request tells them apart.
NAMELESS = ("clusterroles", "roles")


@pytest.mark.parametrize(
    ("collection", "answer"), [pair for pair in SEEN if pair[0] not in NAMELESS], ids=lambda part: str(part)[:30]
)
def test_the_effect_of_one_is_not_taken_for_that_of_another(collection, answer):
    assert not BY_COLLECTION[collection].seen(f"{PREFIX}another-0", answer)


@pytest.mark.parametrize(
    ("collection", "answer"),
    [(collection, answer) for collection, answers in OTHERS.items() for answer in answers],
)
def test_an_answer_that_does_not(collection, answer):
    assert not BY_COLLECTION[collection].seen(NAME, answer)


@each_canary
def test_an_error_that_says_nothing_of_it_does_not(canary):
    for message in ("", "etcdserver: request timed out", 'namespaces "kube-system" not found'):
        assert not canary.seen(NAME, Answer(message=message))


def test_a_dry_run_lease_can_be_asked_for_anywhere():
    request = dry_run_lease(namespace="gone")
    assert request.path == "/apis/coordination.k8s.io/v1/namespaces/gone/leases?dryRun=All"
    assert json.loads(request.body)["metadata"]["name"].startswith(PREFIX)
