import json

from soak_fakes import FakeAccess

from pytest_vcluster.errors import ApiError
from soak.access import ServiceRange
from soak.probes import PROBES, ask, differences


class Recorded(FakeAccess):
    """What a cluster in another range would answer is not the same to the byte."""

    def __init__(self, number=1):
        super().__init__(self._answer)
        self.number = number

    def _answer(self, method, path):
        if method == "GET":
            message = f"not here, at 10.100.128.{self.number}"
            raise ApiError(message, status=404, reason="NotFound", method=method, path=path)
        metadata = {"name": "probe", "uid": str(self.number), "creationTimestamp": str(self.number)}
        spec = {"clusterIP": f"10.100.130.{self.number}", "volumes": [{"name": f"kube-api-access-{self.number:05}"}]}
        return {"kind": "Any", "metadata": metadata, "spec": spec}


def test_nothing_is_stored_by_a_probe():
    access = FakeAccess()
    queries = {}
    rest = access.open()
    plain = rest.call

    def call(method, path, **more):
        queries[path] = (method, more.get("query"))
        return plain(method, path, **more)

    rest.call = call
    ask(rest)
    assert len(access.asked) == len(PROBES)
    for path, (method, query) in queries.items():
        assert method == "GET" or query == {"dryRun": "All"} or "subjectaccessreviews" in path


def test_only_what_is_any_clusters_own_may_differ():
    (line,) = differences(ask(Recorded(1).open()), ask(Recorded(2).open()))
    assert line.startswith("probe a custom object that nobody defined: GET /apis/example.org/v1/widgets: 404 NotFound")
    assert "@service-address-1@ expected" in line
    assert line.endswith("@service-address-2@ found")


def test_what_is_answered_otherwise_is_told():
    expected = {"a": {"x": {"y": 1}}, "b": {}, "c": "403 no", "d": "same"}
    found = {"a": {"x": {"y": 2}}, "b": "422 taken", "c": {}, "d": "same"}
    assert differences(expected, found) == [
        "probe a: .x.y: 1 expected, 2 found",
        "probe b: an object expected, 422 taken found",
        "probe c: 403 no expected, an object found",
    ]


def test_addresses_are_told_by_their_place():
    own = ServiceRange("10.100.128.0/20")
    assert own.address(300) == "10.100.129.44"
    assert own.place("10.100.129.44") == "@service-address-300@"
    assert [own.place(text) for text in ("10.1.2.3", "999.1.1.1", "x")] == ["10.1.2.3", "999.1.1.1", "x"]
    assert json.dumps(own.place("10.100.143.255")) == '"@service-address-4095@"'
