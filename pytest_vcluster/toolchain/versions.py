"""Which versions this release of the plugin supports, and what a version that a person typed means.

Pure values and functions: everything may import this module, and importing it costs nothing. The one rule: the rest of
the project handles full versions only ("v1.36.4"); the short forms end here.
"""

from __future__ import annotations

import re

from pytest_vcluster.errors import SettingsError

SUPPORTED_MINORS = ("1.35", "1.36", "1.37")
"""Kubernetes minors that this release is tested with."""

KNOWN_PATCH = {"1.35": "v1.35.8", "1.36": "v1.36.4", "1.37": "v1.37.1"}
"""The patch release that a bare minor stands for: the newest when this was released, the same for every user."""

DEFAULT_MINOR = "1.36"
ETCD_VERSION = "v3.6.16"
KWOK_VERSION = "v0.8.0"
HELM_VERSION = "v4.3.1"
KIND_VERSION = "v0.33.0"

_ASKED = re.compile(r"v?(?P<minor>[0-9]+\.[0-9]+)(?:\.(?P<patch>[0-9]+))?", re.ASCII)
_FULL = re.compile(r"v(?P<minor>[0-9]+\.[0-9]+)\.(?P<patch>[0-9]+)", re.ASCII)


def resolve_version(text: str) -> str:
    """The full version ("v1.36.4") that `text` stands for.

    `text` is a minor ("1.36", "v1.36"), which stands for its known patch, or a full version ("1.36.2", "v1.36.2").
    Raises SettingsError when `text` is no version, or one of a minor that is not supported.
    """
    match = _ASKED.fullmatch(text.strip())
    allowed = ", ".join(SUPPORTED_MINORS)
    remedy = f"Ask for a minor ({allowed}) or for a patch release of one, such as {KNOWN_PATCH[DEFAULT_MINOR]}."
    if match is None:
        msg = f"{text!r} is not a Kubernetes version. {remedy}"
        raise SettingsError(msg)
    minor, patch = match["minor"], match["patch"]
    if minor not in SUPPORTED_MINORS:
        msg = f"Kubernetes {minor} (asked for as {text!r}) is not supported. {remedy}"
        raise SettingsError(msg)
    if patch is None:
        return KNOWN_PATCH[minor]
    if str(int(patch)) != patch:
        msg = f"{text!r} is not a Kubernetes version: its patch number has leading zeros. {remedy}"
        raise SettingsError(msg)
    return f"v{minor}.{patch}"


def is_minor(text: str) -> bool:
    """Whether `text` asks for a minor and leaves the choice of the patch release to us."""
    match = _ASKED.fullmatch(text.strip())
    return match is not None and match["patch"] is None


def previous_patch(version: str) -> str | None:
    """The patch release before the full `version`; None before the first of a minor."""
    match = _FULL.fullmatch(version)
    if match is None or match["patch"] == "0":
        return None
    return f"v{match['minor']}.{int(match['patch']) - 1}"


def minor_of(version: str) -> str:
    """The minor ("1.36") of a full version ("v1.36.4")."""
    match = _FULL.fullmatch(version)
    if match is None:
        msg = f"{version!r} is not a full version such as {KNOWN_PATCH[DEFAULT_MINOR]}."
        raise SettingsError(msg)
    return match["minor"]
