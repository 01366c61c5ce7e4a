"""An event loop whose clock jumps to the next timer instead of waiting for it."""

import asyncio
import selectors


class _Jumping(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout=None):
        if timeout is None:
            raise AssertionError("everything waits and no timer is set: this would hang for ever")
        self.now += max(timeout, 0.0)
        return super().select(0)


class FakeTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self):
        return self._jumping.now


def run(main):
    """Run a coroutine in fake time; return its result."""
    with asyncio.Runner(loop_factory=FakeTimeLoop) as runner:
        return runner.run(main)
