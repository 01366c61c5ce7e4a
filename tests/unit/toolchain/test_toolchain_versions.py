from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_vcluster.errors import SettingsError
from pytest_vcluster.toolchain.versions import (
    DEFAULT_MINOR,
    KNOWN_PATCH,
    SUPPORTED_MINORS,
    is_minor,
    minor_of,
    previous_patch,
    resolve_version,
)

minors = st.sampled_from(SUPPORTED_MINORS)
patches = st.integers(min_value=0, max_value=999)


@pytest.mark.parametrize(
    ("asked", "resolved"),
    [
        ("1.36", "v1.36.4"),
        ("v1.36", "v1.36.4"),
        (" 1.35 ", "v1.35.8"),
        ("1.37", "v1.37.1"),
        ("1.36.2", "v1.36.2"),
        ("v1.36.2", "v1.36.2"),
        ("1.36.0", "v1.36.0"),
    ],
)
def test_resolves_what_people_type(asked: str, resolved: str) -> None:
    assert resolve_version(asked) == resolved


@pytest.mark.parametrize(
    "asked", ["", "latest", "1", "1.36.", "1.36.x", "vv1.36", "1.36.4-rc.1", "1,36", "1.36.04", "1.٣6", "v1.36.4\nx"]
)
def test_refuses_what_is_no_version_and_names_what_is_allowed(asked: str) -> None:
    with pytest.raises(SettingsError, match=r"not a Kubernetes version.*1\.35, 1\.36, 1\.37"):
        resolve_version(asked)


@pytest.mark.parametrize("asked", ["1.34", "1.38.0", "v2.36.4", "0.36.4"])
def test_refuses_an_unsupported_minor_and_names_the_supported_ones(asked: str) -> None:
    with pytest.raises(SettingsError, match=r"not supported.*1\.35, 1\.36, 1\.37"):
        resolve_version(asked)


def test_every_supported_minor_has_a_known_patch_of_its_own() -> None:
    assert set(KNOWN_PATCH) == set(SUPPORTED_MINORS)
    assert all(minor_of(patch) == minor for minor, patch in KNOWN_PATCH.items())
    assert DEFAULT_MINOR in SUPPORTED_MINORS


@given(minors, patches, st.sampled_from(["", "v"]))
def test_a_full_version_resolves_to_itself(minor: str, patch: int, prefix: str) -> None:
    resolved = resolve_version(f"{prefix}{minor}.{patch}")
    assert resolved == f"v{minor}.{patch}"
    assert resolve_version(resolved) == resolved
    assert minor_of(resolved) == minor
    assert not is_minor(resolved)


@given(st.text())
def test_any_text_resolves_to_a_full_version_or_to_a_settings_error(text: str) -> None:
    try:
        resolved = resolve_version(text)
    except SettingsError:
        return
    assert minor_of(resolved) in SUPPORTED_MINORS


@given(minors, patches)
def test_the_previous_patch_is_one_less_and_there_is_none_before_the_first(minor: str, patch: int) -> None:
    expected = None if patch == 0 else f"v{minor}.{patch - 1}"
    assert previous_patch(f"v{minor}.{patch}") == expected


def test_knows_a_bare_minor_from_a_full_version() -> None:
    assert is_minor("1.36")
    assert is_minor("v1.36")
    assert not is_minor("1.36.4")
    assert not is_minor("latest")


@pytest.mark.parametrize("text", ["1.36.4", "v1.36", "v1.36.4-rc.1"])
def test_the_minor_of_anything_but_a_full_version_is_an_error(text: str) -> None:
    with pytest.raises(SettingsError, match="not a full version"):
        minor_of(text)
    assert previous_patch(text) is None
