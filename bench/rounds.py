"""Takes turns: every contender once a round, each round starting with another one.

The one rule: a contender that fails is a row that says why; it never costs the others their figures.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from bench.model import Contender, Ground, NotMeasured, Once, Results


def run(contenders: Sequence[Contender], ground: Ground, *, rounds: int) -> Results:
    """Let all `contenders` take `rounds` turns; an interrupt ends the run with what was measured so far."""
    results = Results()
    with contextlib.ExitStack() as stack:
        turns: dict[str, Once] = {}
        try:
            for contender in contenders:
                ground.progress(f"making ready: {contender.name}")
                with _excused(contender, results):
                    turns[contender.name] = stack.enter_context(contender.opened(ground))
            for number in range(rounds):
                for contender in order(contenders, number):
                    if contender.name in turns and number < _most(contender, rounds):
                        _take(contender, turns, results, told=f"round {number + 1}/{rounds}", progress=ground.progress)
        except KeyboardInterrupt:
            ground.progress("interrupted: the figures so far follow")
    return results


def order(contenders: Sequence[Contender], number: int) -> list[Contender]:
    """The order of a round: nobody always follows the same other one's start."""
    start = number % len(contenders) if contenders else 0
    return [*contenders[start:], *contenders[:start]]


def _most(contender: Contender, rounds: int) -> int:
    return rounds if contender.most_rounds is None else min(rounds, contender.most_rounds)


def _take(
    contender: Contender, turns: dict[str, Once], results: Results, *, told: str, progress: Callable[[str], None]
) -> None:
    progress(f"{told}: {contender.name}")
    try:
        with _excused(contender, results):
            results.add(turns[contender.name]())
    finally:
        if contender.name in results.missing:
            # What failed once is not asked again: a failure may take its whole deadline.
            turns.pop(contender.name)
            progress(f"{contender.name}: {results.missing[contender.name].splitlines()[0]}")


@contextlib.contextmanager
def _excused(contender: Contender, results: Results) -> Iterator[None]:
    try:
        yield
    except NotMeasured as reason:
        results.missing[contender.name] = str(reason)
    except Exception as error:  # whatever it is, it is this contender's alone
        results.missing[contender.name] = f"{type(error).__name__}: {error}"
