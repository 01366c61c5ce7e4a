import pytest

from pytest_vcluster.cluster.jsonpath import as_text, parse_path

POD = {
    "metadata": {"labels": {"app.kubernetes.io/name": "web"}},
    "spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]},
    "status": {
        "phase": "Running",
        "ready": True,
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "Old", "status": "False"}],
    },
}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("{.status.phase}", ["Running"]),
        (".status.phase", ["Running"]),
        ("status.phase", ["Running"]),
        ("{$.status.phase}", ["Running"]),
        ("{ .status.phase }", ["Running"]),
        ("{.status['phase']}", ["Running"]),
        ('{.status["phase"]}', ["Running"]),
        (r"{.metadata.labels.app\.kubernetes\.io/name}", ["web"]),
        ("{.metadata.labels['app.kubernetes.io/name']}", ["web"]),
        ("{.spec.containers[0].image}", ["x"]),
        ("{.spec.containers[-1].image}", ["y"]),
        ("{.spec.containers[7].image}", []),
        ("{.spec.containers[*].name}", ["a", "b"]),
        ("{.metadata.labels.*}", ["web"]),
        ('{.status.conditions[?(@.type=="Ready")].status}', ["True"]),
        ("{.status.conditions[?(@.type=='Ready')].status}", ["True"]),
        ('{.status.conditions[?(@.type != "Ready")].type}', ["Old"]),
        ("{.status.nothing.here}", []),
        ("{.status.phase.deeper}", []),
        ("{.status.phase[0]}", []),
    ],
)
def test_a_path_leads_where_kubectl_would_go(path, values):
    assert parse_path(path).values(POD) == values


@pytest.mark.parametrize("path", ["", "{}", "$", "{..phase}", "{.a[}", "{.a[?(x)]}", "{range .items[*]}", "{.a b}"])
def test_what_is_not_understood_is_refused_with_an_example(path):
    with pytest.raises(ValueError, match=r"\.field|\.status\.phase"):
        parse_path(path)


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (False, "false"), (3, "3"), ("x", "x"), (None, "")])
def test_values_are_compared_as_kubectl_prints_them(value, text):
    assert as_text(value) == text
