"""What a test wants to find in its cluster, as a digest: equal digests, equal baselines.

The one rule: two wishes get the same digest only if the same would be laid. Files count by what is in them, functions
by their code and what they close over; what can't be told apart for sure is never shared between runs.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

from pytest_vcluster.manifests import ManifestFiles
from pytest_vcluster.marker import Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineId:
    """The name of a baseline; `about` says what files it is made of, and is empty if a function has a part in it."""

    digest: str = ""
    about: str = ""


NOTHING = BaselineId()


def baseline_id(wish: Wish, prepare: Callable[..., object] | None, *, files: ManifestFiles) -> BaselineId:
    """Name what `wish` and the function `vcluster_baseline` gave want to be laid."""
    paths = (*wish.crds, *wish.manifests)
    if not paths and prepare is None:
        return NOTHING
    content: list[object] = [[found.object for found in files.objects(path)] for path in paths]
    if prepare is not None:
        content.append(list(_traits(prepare)))
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=repr).encode()).hexdigest()[:16]
    return BaselineId(digest=digest, about="" if prepare is not None else ", ".join(map(str, paths)))


def name_of(prepare: Callable[..., object]) -> str:
    """Call a function what people call it."""
    return str(getattr(prepare, "__qualname__", None) or repr(prepare))


def _traits(value: Any) -> Iterator[object]:
    """What makes a function the one it is, the same in every process that imported it."""
    if isinstance(value, functools.partial):
        yield from _traits(value.func)
        yield [repr(value.args), repr(sorted(value.keywords.items()))]
        return
    function = getattr(value, "__func__", value)
    code = getattr(function, "__code__", None)
    if code is None:  # an object that can be called
        yield [type(value).__module__, type(value).__qualname__, repr(value)]
        return
    yield [function.__module__, function.__qualname__, repr(function.__defaults__), repr(function.__kwdefaults__)]
    yield from _instructions(code)
    for cell in function.__closure__ or ():
        held = cell.cell_contents
        if callable(held):
            yield from _traits(held)
        else:
            yield repr(held)


def _instructions(code: CodeType) -> Iterator[object]:
    yield [Path(code.co_filename).name, code.co_code.hex(), code.co_names]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _instructions(constant)
        else:
            yield repr(constant)
