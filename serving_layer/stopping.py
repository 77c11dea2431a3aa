"""What has to end before a server waits for its connections to end."""

import asyncio
import signal
from collections.abc import Callable
from types import FrameType

__all__ = ["before_stop"]


def before_stop(end: Callable[[], None]) -> None:
    """Call `end` in the running loop when this process is told to stop.

    uvicorn lets every response finish before it tells the application of the stop; a stream that never
    finishes would hold that up until it is cut off. Its signal handlers are called as well.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        former = signal.getsignal(number)

        def handle(received: int, frame: FrameType | None, former: object = former) -> None:
            loop.call_soon_threadsafe(end)
            if callable(former):
                former(received, frame)

        signal.signal(number, handle)
