import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vcluster_syncer.naming import host_name

LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
subdomains = st.from_regex(
    r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?){0,9}", fullmatch=True
)
# RBAC objects and others are only held to being a path segment.
path_segments = st.text(
    st.characters(exclude_characters="/%+", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=100
)
names = labels | subdomains | path_segments
tuples = st.tuples(labels, labels | st.just(""), names)


@settings(max_examples=30)
@given(tuples)
def test_is_a_legal_name_for_every_kind_however_odd_the_virtual_name(parts: tuple[str, str, str]) -> None:
    name = host_name(*parts)
    assert len(name) <= 63
    assert LABEL.fullmatch(name)


@settings(max_examples=30)
@given(tuples, tuples)
def test_different_objects_have_different_names(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert (host_name(*one) == host_name(*other)) == (one == other)


@settings(max_examples=30)
@given(tuples, labels)
def test_a_role_sets_apart(parts: tuple[str, str, str], role: str) -> None:
    assert host_name(*parts, role=role) != host_name(*parts)


@settings(max_examples=30)
@given(labels, labels, labels, names)
def test_two_tenants_never_share_a_name(one: str, other: str, namespace: str, name: str) -> None:
    assert one == other or host_name(one, namespace, name) != host_name(other, namespace, name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("t", "a-b", "c"), ("t", "a", "b-c")),
        (("t", "a", "x-x-b"), ("t", "x-b", "a-x")),
        (("t", "", "a"), ("t", "a", "")),
        (("t", "n", "a.b"), ("t", "n", "a-b")),
        (("t", "n", "A"), ("t", "n", "a")),
    ],
)
def test_what_joins_to_the_same_text_still_differs(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert host_name(*one) != host_name(*other)


def test_begins_with_what_a_human_knows() -> None:
    assert host_name("vc-a1", "default", "kube-root-ca.crt").startswith("kube-root-ca-crt-")


def test_stays_the_same_from_release_to_release() -> None:
    assert host_name("vc-a1", "default", "web") == "web-sty75dytfav5lsej"
