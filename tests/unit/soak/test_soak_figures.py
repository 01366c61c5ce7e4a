from collections import Counter

import pytest

from soak.figures import MOST_LINES, Figures, Leased, failure, milliseconds, never_done, quantile


def leased(number=1, **more):
    given = {
        "number": number,
        "seed": 70 + number,
        "version": "v1.36.4",
        "cluster": "vc-a",
        "before": (),
        "waited_seconds": 0.1 * number,
        **more,
    }
    return Leased(**given)


@pytest.mark.parametrize(
    ("values", "share", "value"),
    [([], 0.5, 0.0), ([3.0], 0.99, 3.0), ([3.0, 1.0, 2.0], 0.5, 2.0), (range(100), 0.99, 99), (range(100), 0.0, 0)],
)
def test_quantiles(values, share, value):
    assert quantile(values, share) == value


@pytest.mark.parametrize(("seconds", "text"), [(0.0301, "30 ms"), (9.9, "9900 ms"), (12.34, "12.3 s")])
def test_times_are_told_for_people(seconds, text):
    assert milliseconds(seconds) == text


def test_a_difference_is_told_with_the_seed_to_blame():
    told = failure(leased(differences=("a: extra", "b: missing"), before=(5, 6)))
    assert told.splitlines() == [
        "lease 1 (seed 71, v1.36.4) of vc-a:",
        "  2 differences from a fresh cluster, still there a second later:",
        "    a: extra",
        "    b: missing",
        "  the lease before on this cluster had seed 6; to see it again: --replay 6 (all of them: --replay 5,6)",
    ]
    assert "GONE or changed" in failure(leased(differences=("a",), lasting=False))
    assert "it was a fresh cluster" in failure(leased(differences=("a",)))
    assert "and 7 more" in failure(leased(differences=("a",) * (MOST_LINES + 7)))
    assert failure(leased(error="no lease: none", deaths=("kube-apiserver died",))).splitlines()[1:] == [
        "  no lease: none",
        "  kube-apiserver died",
    ]


def test_the_line_tells_where_the_soak_is():
    figures = Figures([leased(1), leased(2, differences=("a",), before=(1,)), leased(3, error="x", deaths=("d",))])
    assert figures.line({"recycled": 7, "retired": 2}) == (
        "     3 leases: 7 recycled, 2 retired, 1 differed, 1 failed, 1 lost a process; waited p50 200 ms, p99 300 ms"
    )
    known = Figures([leased(1, known=2), leased(2, known=2, differences=("b",))])
    assert "1 differed (1 still), 0 failed" in known.line({})
    assert "? recycled" in figures.line(None)
    assert figures.failed


def test_the_summary_tells_what_there_is_to_know():
    answers = Counter({("pod", "done"): 3, ("pod", "404"): 1, ("job", "422"): 1})
    totals = {"retirements": {"it died": 1, "it lacks: a": 1, "it lacks: b": 3}, "notes": ["slow"]}
    told = Figures([leased(1, before=(3,), answers=answers)]).summary(totals)
    assert "waited for a recycled cluster: p50 100 ms" in told
    assert "a fresh cluster" not in told
    assert "not recycled, 4 times: it lacks (such as a)\nnot recycled, 1 times: it died\n" in told
    assert "the run service notes: slow" in told
    assert "answers: 3 done, 1 404, 1 422" in told
    assert "never done: job" in told
    assert told.endswith("no differences")
    assert Figures([leased(4, error="x")]).summary(None).endswith("FAILED at 74")


def test_moves_that_never_worked_are_told():
    assert never_done({("a", "done"): 1, ("a", "404"): 1, ("b", "404"): 2}) == ["b"]
