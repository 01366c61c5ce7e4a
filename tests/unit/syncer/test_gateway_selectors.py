"""Selectors in a query: what they select, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vcluster_syncer.gateway.selectors import BadSelector, by_fields, by_labels

WEB = {"metadata": {"name": "web", "namespace": "team", "labels": {"app": "web", "example.org/n": "5", "empty": ""}}}
PLAIN = {"metadata": {"name": "plain"}}


@pytest.mark.parametrize(
    ("text", "web", "plain"),
    [
        ("", True, True),
        ("  ", True, True),
        ("app", True, False),
        ("!app", False, True),
        ("! app", False, True),
        ("app=web", True, False),
        ("app==web", True, False),
        (" app = web ", True, False),
        ("app=db", False, False),
        ("app!=db", True, True),
        ("app!=web", False, True),
        ("app in (db,web)", True, False),
        ("app in ( db , web )", True, False),
        ("app in(web)", True, False),
        ("app in (db)", False, False),
        ("app notin (db)", True, True),
        ("app notin (web,db)", False, True),
        ("app=web,!other", True, False),
        ("app in (web,db),example.org/n", True, False),
        ("app=web,app=db", False, False),
        ("empty=", True, False),
        ("empty=,app=web", True, False),
        ("empty in (,x)", True, False),
        ("empty in ()", True, False),
        ("example.org/n>4", True, False),
        ("example.org/n > 5", False, False),
        ("example.org/n<6", True, False),
        ("app<6", False, False),
        ("in in (web)", False, False),
    ],
)
def test_labels(text, web, plain):
    selects = by_labels(text)
    assert (selects(WEB), selects(PLAIN)) == (web, plain)


@pytest.mark.parametrize(
    "text",
    [
        *("=web", "app=web=db", "app web", "app=web db", "app,", ",app", "app in web", "app in (web", "app in", "!"),
        *("!app=web", "app=a/b", "app=-x", "-app", "a/b/c", "app>x", "app>", "app=(web)", "app (web)", "UPPER.org/a!"),
        "x" * 64,
        f"app={'x' * 64}",
    ],
)
def test_what_is_no_label_selector_is_said(text):
    with pytest.raises(BadSelector, match="is no label selector"):
        by_labels(text)


@given(st.text(alphabet="ab1-_./ =!<>(),in", max_size=30))
def test_any_text_is_a_selector_or_none(text):
    try:
        selects = by_labels(text)
    except BadSelector:
        return
    assert selects(WEB) in (True, False)


@pytest.mark.parametrize(
    ("text", "web", "plain"),
    [
        ("", True, True),
        ("metadata.name=web", True, False),
        ("metadata.name==web", True, False),
        ("metadata.name!=web", False, True),
        ("metadata.namespace=team,metadata.name=web", True, False),
        ("metadata.namespace=", False, True),
    ],
)
def test_fields(text, web, plain):
    selects = by_fields(text)
    assert (selects(WEB), selects(PLAIN)) == (web, plain)


@pytest.mark.parametrize("text", ["status.phase=Running", "metadata.name", "metadata.name=a=b", "metadata.name>a"])
def test_what_is_no_field_selector_is_said(text):
    with pytest.raises(BadSelector, match="is no field selector of metadata.name or metadata.namespace"):
        by_fields(text)
