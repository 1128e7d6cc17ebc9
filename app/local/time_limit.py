"""A limit on the processor time of a call, for source text that drives an analysis into a corner."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class OutOfTime(BaseException):
    """Not an `Exception`: what goes on after one detector's crash must not go on after this."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Ends what is inside after so many seconds of processor time, however busy the machine is.

    Works in a process's main thread, and not on Windows, which has no such timer.

    Raises:
        OutOfTime: the time is over.
    """
    if not hasattr(signal, "setitimer"):
        yield
        return

    def over(_signal: int, _frame: FrameType | None) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
