"""Amounts as Kubernetes writes them: `500m`, `16Gi`, `2`, `1e3`.

The one rule: exact. Nothing here is a float, so sums of many small amounts are what they should be.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

_SUFFIXES: Final = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    **{name: Fraction(10 ** (3 * power)) for power, name in enumerate(("k", "M", "G", "T", "P", "E"), 1)},
    **{name: Fraction(1024**power) for power, name in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
}
_QUANTITY: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d{1,3})|([a-zA-Z]{0,2}))")


def parse(text: str) -> Fraction:
    """Read an amount; ValueError for what is none."""
    found = _QUANTITY.fullmatch(text)
    if found is None or (found[3] or "") not in _SUFFIXES:
        raise ValueError(f"{text!r} is no quantity; 4, 500m and 16Gi are")
    exponent = Fraction(10) ** int(found[2][1:]) if found[2] else _SUFFIXES[found[3] or ""]
    return Fraction(found[1]) * exponent


def shown(amount: Fraction) -> str:
    """Write an amount for people, to three digits where it has more."""
    for name in ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki"):
        if amount >= _SUFFIXES[name] and (amount / _SUFFIXES[name] * 1000).denominator == 1:
            return f"{_plain(amount / _SUFFIXES[name])}{name}"
    return _plain(amount)


def _plain(amount: Fraction) -> str:
    return f"{float(amount):.3f}".rstrip("0").rstrip(".")
