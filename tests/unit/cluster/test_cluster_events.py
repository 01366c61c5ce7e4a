from pytest_vcluster.cluster.events import in_order, moment, table


def event(revision, **fields):
    return {"metadata": {"resourceVersion": str(revision), "namespace": "x"}, **fields}


def test_events_come_in_the_order_in_which_things_happened():
    events = [
        event(9, lastTimestamp="2026-01-01T00:00:02Z", reason="third"),
        event(5, eventTime="2026-01-01T00:00:01.999999Z", reason="second"),
        event(4, lastTimestamp="2026-01-01T00:00:01Z", reason="first"),
        event(2, lastTimestamp=None, series={"lastObservedTime": "2026-01-01T00:00:03.000000Z"}, reason="fourth"),
    ]
    assert [found["reason"] for found in in_order(events)] == ["first", "second", "third", "fourth"]


def test_an_event_without_any_time_is_as_old_as_its_object():
    assert moment({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}}) == "2026-01-01T00:00:00Z"
    assert moment({}) == ""


def test_the_table_has_a_line_an_event_however_long_its_message():
    about = {"kind": "Pod", "name": "web"}
    rows = table(
        [event(1, type="Normal", reason="Created", involvedObject=about, count=3, message="one\ntwo")]
    ).splitlines()
    assert rows[0].split() == ["LAST", "SEEN", "NAMESPACE", "TYPE", "REASON", "OBJECT", "COUNT", "MESSAGE"]
    assert rows[1].split() == ["x", "Normal", "Created", "pod/web", "3", "one", "two"]
    assert rows[0].index("OBJECT") == rows[1].index("pod/web")
    assert table([]).count("\n") == 1
