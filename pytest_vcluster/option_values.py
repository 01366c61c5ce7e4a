"""What turns the text of one option into its value.

The one rule: a value that is wrong is told with the place it was given in and with what would have been right.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pytest_vcluster.errors import SettingsError

TRUE = ("1", "true", "yes", "on")
FALSE = ("0", "false", "no", "off")


class Given(NamedTuple):
    """A value as somebody gave it, the place they gave it in, and the folder that a relative path in it starts from.

    A tuple, as `Option` is: dataclasses take a millisecond each to define, in every pytest run there is.
    """

    text: str
    origin: str
    base: Path

    def wrong(self, problem: str, *, allowed: str) -> SettingsError:
        """The error for this value: `problem` reads on after it, `allowed` says what would be right."""
        return SettingsError(f"{self.origin}: {self.text!r} {problem}. Allowed: {allowed}.")


def one_of(*allowed: str) -> Callable[[Given], str]:
    """Make what takes one of `allowed` only."""

    def parse(given: Given) -> str:
        if given.text not in allowed:
            raise given.wrong("is not known", allowed=", ".join(allowed))
        return given.text

    return parse


def versions(given: Given) -> tuple[str, ...]:
    """Resolve a list of Kubernetes versions, each named once, to full ones."""
    from pytest_vcluster.toolchain.versions import SUPPORTED_MINORS, resolve_version  # noqa: PLC0415 - start-up time

    allowed = f"one or more of {', '.join(SUPPORTED_MINORS)} or a patch of these, such as {SUPPORTED_MINORS[-1]}.1"
    parts = given.text.replace(",", " ").split()
    if not parts:
        raise given.wrong("holds no version", allowed=allowed)
    found: list[str] = []
    for part in parts:
        try:
            version = resolve_version(part)
        except SettingsError as error:
            message = f"{given.origin}: {error}"
            raise SettingsError(message) from error
        if version not in found:
            found.append(version)
    return tuple(found)


def switches(given: Given) -> tuple[str, ...]:
    """Take a list of the syncer's switches, each named once."""
    from pytest_vcluster.sync_switches import SWITCHES  # noqa: PLC0415 - start-up time

    parts = given.text.replace(",", " ").split()
    for part in parts:
        if part not in SWITCHES:
            raise given.wrong(f"names {part!r}, which is no switch", allowed=", ".join(SWITCHES))
    return tuple(dict.fromkeys(parts))


def count(given: Given) -> int:
    """Take a whole number from 1 on."""
    if not given.text.isdecimal() or int(given.text) < 1:
        raise given.wrong("is no number of them", allowed="a whole number from 1 on")
    return int(given.text)


def seconds(given: Given) -> float:
    """Take a finite number of seconds above 0."""
    try:
        seconds = float(given.text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise given.wrong("is no time to wait", allowed="a number of seconds above 0")
    return seconds


def switch(given: Given) -> bool:
    """Take a yes or a no."""
    if given.text.lower() not in TRUE + FALSE:
        raise given.wrong("is neither yes nor no", allowed=", ".join(TRUE + FALSE))
    return given.text.lower() in TRUE


def text(given: Given) -> str:
    """Take any text."""
    return given.text


def label(given: Given) -> str:
    """Take what is short enough to be part of a Kubernetes name."""
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?", given.text):
        raise given.wrong("is no such name", allowed="lower case letters, digits and dashes, 42 at most")
    return given.text


def readable_file(what: str) -> Callable[[Given], Path]:
    """Make what takes the path of a file that can be read; `what` says of what kind it should be."""

    def parse(given: Given) -> Path:
        path = given.base / Path(given.text).expanduser()
        if not path.is_file() or not os.access(path, os.R_OK):
            raise given.wrong("is no file that can be read", allowed=f"the path of {what}")
        return path

    return parse


def folder(given: Given) -> Path:
    """Take the path of a folder, there or not."""
    path = given.base / Path(given.text).expanduser()
    if path.exists() and not path.is_dir():
        raise given.wrong("is a file", allowed="the path of a folder, which need not exist yet")
    return path


def new_file(given: Given) -> Path:
    """Take the path of a file, there or not."""
    path = given.base / Path(given.text).expanduser()
    if path.is_dir():
        raise given.wrong("is a folder", allowed="the path of the HTML file to write")
    return path
