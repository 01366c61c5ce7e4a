"""Asking the run service something, and getting the kind of answer that belongs to it.

The one rule: a service that died in between is replaced and asked again, as long as the run itself is alive. One that
was told to end is not: then the run is ending.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TypeVar

from pytest_vcluster.errors import LeaseLost
from pytest_vcluster.service.channel import Channel, ServiceGone
from pytest_vcluster.service.election import connect, dial
from pytest_vcluster.service.protocol import Message
from pytest_vcluster.service.runs import Run
from pytest_vcluster.settings import Settings

ANSWER_SECONDS = 10.0
_MARGIN_SECONDS = 5.0
_ATTEMPTS = 3
_Answer = TypeVar("_Answer", bound=Message)


def ask(
    run: Run,
    settings: Settings,
    message: Message,
    kind: type[_Answer],
    *,
    step: str,
    timeout: float,
    on_progress: Callable[[str], None],
) -> tuple[Channel, _Answer]:
    """Ask, starting a service if need be, and return the answer and the channel that it came through, still open."""
    for attempt in range(_ATTEMPTS):
        channel = Channel(connect(run, settings))
        try:
            channel.send(message)
            # What the service waits for has this timeout too; its error says more than ours, so it gets to speak first.
            answer = channel.answer(step, timeout=timeout + _MARGIN_SECONDS, on_progress=on_progress)
            return channel, _expected(answer, kind)
        except ServiceGone:
            channel.close()
            if attempt == _ATTEMPTS - 1 or not run.controller_is_alive():
                raise
        except BaseException:
            channel.close()
            raise
    raise AssertionError


def ask_if_running(run: Run, message: Message, kind: type[_Answer]) -> _Answer | None:
    """Ask the service if there is one; None if not, or if it ended meanwhile."""
    connection = dial(run)
    if connection is None:
        return None
    with contextlib.closing(Channel(connection)) as channel:
        try:
            channel.send(message)
            answer = channel.answer(type(message).__name__, timeout=ANSWER_SECONDS)
        except ServiceGone:
            return None
    return _expected(answer, kind)


def _expected(answer: Message, kind: type[_Answer]) -> _Answer:
    if not isinstance(answer, kind):
        raise LeaseLost(f"The run service answered {type(answer).__name__} instead of {kind.__name__}.")
    return answer
