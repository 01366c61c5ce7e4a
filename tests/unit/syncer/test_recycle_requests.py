"""What an API server was asked, by its audit log: what it tells beyond the data store, and what it can't tell."""

import json

import pytest
from vcluster_syncer.recycle.audit_log import Unreadable
from vcluster_syncer.recycle.requests import Requests

DEFINITIONS, API_SERVICES = (
    "apiextensions.k8s.io/customresourcedefinitions",
    "apiregistration.k8s.io/apiservices",
)
COLLECTOR = "kube-controller-manager/v1.36.4 (linux/amd64) kubernetes/abc/generic-garbage-collector"
FINALIZER = "kube-controller-manager/v1.36.4 (linux/amd64) kubernetes/abc/namespace-controller"


def look(agent=COLLECTOR):
    return {"stage": "ResponseComplete", "verb": "get", "requestURI": "/apis", "userAgent": agent}


def write(collection, *, verb="create", code=201, name="x"):
    group, _, plural = collection.rpartition("/")
    reference = {"resource": plural, "name": name, **({"apiGroup": group} if group else {})}
    return {"verb": verb, "objectRef": reference, "userAgent": "kubectl", "responseStatus": {"code": code}}


DEFINED = {"stage": "RequestReceived", **write(DEFINITIONS)}
DEFINED.pop("responseStatus")


@pytest.fixture
def log(tmp_path):
    return tmp_path / "audit.log"


def note(log, *events, end="\n"):
    with log.open("a") as lines:
        lines.write("".join(json.dumps(event) + end for event in events))


def outdated(log, *events):
    requests = Requests(log)
    note(log, *events)
    return requests.news().outdated and requests.outdated(redefined=False, measured=False)


def test_a_controller_manager_that_looked_after_a_definition_was_touched_is_outdated(log):
    assert outdated(log, DEFINED, look())


@pytest.mark.parametrize(
    "events",
    [
        [],
        [DEFINED],
        [look()],
        [look(), DEFINED],
        [DEFINED, look("kubectl/v1.36")],
        [DEFINED, look("")],
        [DEFINED, look(FINALIZER)],
        [write("rbac.authorization.k8s.io/roles"), look()],
    ],
    ids=["nothing", "nobody", "no definition", "before", "a client", "nobody known", "who forgets", "other objects"],
)
def test_otherwise_it_is_not(log, events):
    assert not outdated(log, *events)


@pytest.mark.parametrize("code", [201, 409])
@pytest.mark.parametrize("collection", [DEFINITIONS, API_SERVICES])
def test_definitions_were_touched_whatever_the_answer(log, collection, code):
    note(log, write(collection, code=code))
    news = Requests(log).news()
    assert (news.collections, news.redefined) == ({collection}, True)


@pytest.mark.parametrize(("code", "told"), [(201, {"roles"}), (403, set()), (409, set())])
def test_other_objects_only_where_it_was_done(log, code, told):
    note(log, write("rbac.authorization.k8s.io/roles", code=code))
    assert Requests(log).news().collections == told


def test_namespaces_that_were_deleted_are_told_by_name(log):
    note(log, write("namespaces", name="kept"), write("namespaces", verb="delete", code=200, name="gone"))
    assert Requests(log).news().namespaces == {b"gone"}


def test_news_are_told_once_and_what_they_mean_is_kept(log):
    requests = Requests(log)
    note(log, DEFINED)
    assert requests.news().collections == {DEFINITIONS}
    assert requests.news().collections == set()
    note(log, look())
    assert requests.news().outdated
    assert requests.news().outdated


def test_a_new_lease_knows_nothing_of_the_one_before(log):
    requests = Requests(log)
    note(log, DEFINED, write("limitranges"))
    requests.begin()
    note(log, look())
    news = requests.news()
    assert (news.collections, news.redefined, news.outdated) == (set(), False, False)


def test_since_a_mark_only_what_came_later_counts(log):
    requests = Requests(log)
    note(log, DEFINED, look())
    mark = requests.mark()
    requests.news()
    assert not requests.outdated(redefined=True, measured=False, since=mark)
    note(log, DEFINED, look())
    assert requests.outdated(redefined=True, measured=False, since=mark)
    assert requests.outdated(redefined=False, measured=False)


def test_a_line_that_is_being_written_is_read_when_it_is_whole(log):
    requests = Requests(log)
    whole = json.dumps(write("resourcequotas")) + "\n"
    log.write_text(whole[:40])
    assert requests.news().collections == set()
    log.write_text(whole)
    assert requests.news().collections == {"resourcequotas"}


def test_before_the_first_line_there_is_no_log(log):
    requests = Requests(log)
    assert (requests.mark(), requests.news().collections) == (0, set())
    requests.begin()
    note(log, write("resourcequotas"))
    assert requests.news().collections == {"resourcequotas"}


@pytest.mark.parametrize("redefined", [True, False])
def test_without_a_log_a_touched_definition_is_taken_for_the_worst(redefined):
    requests = Requests(None)
    requests.begin()
    assert requests.news().collections == set()
    assert requests.outdated(redefined=redefined, measured=False) is redefined
    assert requests.outdated(redefined=redefined, measured=False, since=requests.mark()) is redefined


def test_nor_can_it_tell_without_one_whether_there_were_autoscalers():
    assert Requests(None).outdated(redefined=False, measured=True)


SCALED = write("autoscaling/horizontalpodautoscalers")


@pytest.mark.parametrize(
    ("events", "measured", "expected"),
    [
        ([SCALED], True, True),
        ([SCALED], False, False),
        ([], True, False),
        ([SCALED, DEFINED], False, True),
        ([DEFINED], True, False),
    ],
    ids=["by figures", "without figures", "no autoscaler", "by figures of the lease", "only a definition"],
)
def test_what_autoscalers_wanted_is_remembered_where_they_had_figures(log, events, measured, expected):
    requests = Requests(log)
    mark = requests.mark()
    note(log, *events)
    assert requests.news().collections <= {DEFINITIONS}
    assert requests.outdated(redefined=False, measured=measured) is expected
    assert requests.outdated(redefined=False, measured=measured, since=mark) is expected
    requests.begin()
    assert not requests.outdated(redefined=False, measured=measured)


def test_a_log_that_was_begun_anew_can_not_be_read_on(log):
    requests = Requests(log)
    note(log, look(), look())
    requests.begin()
    log.write_text("")
    note(log, look())
    with pytest.raises(Unreadable, match=r"audit.log was begun anew"):
        requests.news()


@pytest.mark.parametrize("line", ["what?", '{"objectRef": {}}'])
def test_nor_can_one_that_is_no_such_log(log, line):
    log.write_text(line + "\n")
    with pytest.raises(Unreadable, match="does not tell what was asked"):
        Requests(log).news()


def test_what_the_controller_manager_writes_is_told_by_the_data_store(log):
    note(
        log, {**write("rbac.authorization.k8s.io/clusterroles"), "user": {"username": "system:kube-controller-manager"}}
    )
    assert Requests(log).news().collections == set()


def test_that_it_looked_is_told_nevertheless(log):
    assert outdated(log, DEFINED, {**look(), "user": {"username": "system:kube-controller-manager"}})
