import pytest

from pytest_vcluster.cluster.conditions import Created, Deleted, HasCondition, HasValue, parse_condition

READY = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
NOT_READY = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}


@pytest.mark.parametrize(
    ("words", "condition"),
    [
        ("condition=Available", HasCondition("Available")),
        ("Available", HasCondition("Available")),
        ("PodReadyToStartContainers", HasCondition("PodReadyToStartContainers")),
        ("condition=Ready=False", HasCondition("Ready", "False")),
        ("condition=Ready=Unknown", HasCondition("Ready", "Unknown")),
        ("--for=condition=Ready", HasCondition("Ready")),
        ("delete", Deleted()),
        ("create", Created()),
    ],
)
def test_kubectls_words_are_understood(words, condition):
    assert parse_condition(words) == condition


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("jsonpath={.status.phase}=Running", "Running"),
        ("jsonpath='{.status.phase}'=Running", "Running"),
        ("jsonpath='{.status.phase}=Running'", "Running"),
        ("jsonpath=.status.phase=Running", "Running"),
        ("jsonpath={.status.phase}='Run=ning'", "Run=ning"),
        ("jsonpath={.status.phase}", None),
        ('jsonpath={.status.conditions[?(@.type=="Ready")].status}=True', "True"),
        ("jsonpath={.status.phase}=", ""),
    ],
)
def test_paths_and_values_are_told_apart(words, value):
    condition = parse_condition(words)
    assert isinstance(condition, HasValue)
    assert condition.value == value


@pytest.mark.parametrize(
    "words", ["", "condition", "condition=", "jsonpath=", "ready", "deleted", "for=x", "Ready?", "Ready True"]
)
def test_other_words_are_refused_with_those_allowed(words):
    with pytest.raises(ValueError, match="condition=Available.*create.*delete"):
        parse_condition(words)


@pytest.mark.parametrize(
    ("words", "state", "met"),
    [
        ("condition=Ready", READY, True),
        ("condition=ready=true", READY, True),
        ("condition=Ready", NOT_READY, False),
        ("condition=Ready=False", NOT_READY, True),
        ("condition=Other", READY, False),
        ("condition=Ready", {}, False),
        ("condition=Ready", {"status": {"conditions": None}}, False),
        ("condition=Ready", None, False),
        ("create", {}, True),
        ("create", None, False),
        ("delete", None, True),
        ("delete", {}, False),
        ("jsonpath={.spec.replicas}=3", {"spec": {"replicas": 3}}, True),
        ("jsonpath={.spec.paused}=true", {"spec": {"paused": True}}, True),
        ("jsonpath={.spec.replicas}=3", {"spec": {}}, False),
        ("jsonpath={.items[*].a}=1", {"items": [{"a": 1}, {"a": 1}]}, True),
        ("jsonpath={.items[*].a}=1", {"items": [{"a": 1}, {"a": 2}]}, False),
        ("jsonpath={.status.address}", {"status": {"address": "10.0.0.1"}}, True),
        ("jsonpath={.status.address}", {"status": {"address": ""}}, False),
        ("jsonpath={.status.count}", {"status": {"count": 0}}, True),
        ("jsonpath={.status.address}", None, False),
    ],
)
def test_a_state_meets_a_condition_or_not(words, state, met):
    assert parse_condition(words).met(state) is met


@pytest.mark.parametrize(
    ("status", "met"),
    [
        ({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}, False),
        ({"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True"}]}, True),
        ({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True", "observedGeneration": 2}]}, True),
        (
            {"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True", "observedGeneration": 1}]},
            False,
        ),
    ],
)
def test_a_status_older_than_the_spec_meets_nothing(status, met):
    assert HasCondition("Ready").met({"metadata": {"generation": 2}, "status": status}) is met


def test_another_object_of_the_same_name_means_that_the_first_is_gone():
    assert Deleted("1").met({"metadata": {"uid": "2"}})
    assert not Deleted("1").met({"metadata": {"uid": "1"}})
