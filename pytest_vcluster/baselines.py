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
    # Twice, because YAML has keys that are no texts, and can't be sorted with those that are.
    plain = json.loads(json.dumps(content, default=repr))
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]
    return BaselineId(digest=digest, about="" if prepare is not None else ", ".join(map(str, paths)))


def name_of(prepare: Callable[..., object]) -> str:
    """Call a function what people call it."""
    return str(getattr(prepare, "__qualname__", None) or repr(prepare))


def _traits(value: Any, around: tuple[object, ...] = ()) -> Iterator[object]:
    """What makes a function the one it is, the same in every process that imported it."""
    if any(value is each for each in around):  # a function may close over itself
        yield "itself"
        return
    around = (*around, value)
    if isinstance(value, functools.partial):
        yield from _traits(value.func, around)
        yield [_told(value.args), _told(tuple(sorted(value.keywords.items())))]
        return
    function = getattr(value, "__func__", value)
    if function is not value:  # a method, which is its object's as well
        yield from _traits(value.__self__, around)
    code = getattr(function, "__code__", None)
    if code is None:  # an object that can be called
        yield [type(value).__module__, type(value).__qualname__, repr(value)]
        return
    keywords = tuple(sorted((function.__kwdefaults__ or {}).items()))
    yield [function.__module__, function.__qualname__, _told(function.__defaults__), _told(keywords)]
    yield from _instructions(code)
    for cell in function.__closure__ or ():
        held = cell.cell_contents
        if callable(held):
            yield from _traits(held, around)
        else:
            yield _told(held)


def _instructions(code: CodeType) -> Iterator[object]:
    yield [Path(code.co_filename).name, code.co_code.hex(), code.co_names]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _instructions(constant)
        else:
            yield _told(constant)


def _told(value: object) -> str:
    """Say what a value is in the words of every process: the order of a set differs between them."""
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(_told, value)))}}}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_told, value))})"
    return repr(value)
