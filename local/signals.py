"""Being told to stop, as an exception, so that what was started stops and what was written is removed."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Told", "interruptible"]


class Told(BaseException):
    """SIGTERM or SIGHUP came. Keeps the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def interruptible() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP raise Told, as SIGINT raises KeyboardInterrupt. Main thread."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [(number, signal.signal(number, _raise)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _raise(number: int, _frame: FrameType | None) -> None:
    raise Told(number)
