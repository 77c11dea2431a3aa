"""`python -m speed_layer.rebuild [--source NAME]`: the speed job builds its state anew, from the boundary.

The former state is fed and answers until the new one has caught up; this command waits for that. To stop it
does not stop the rebuild.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from conf.settings import Settings, get_settings
from core.application import Application
from core.cuts import Offsets
from core.errors import LambdaError
from core.layout import Layout
from core.rebuilds import RebuildRequest
from speed_layer.clients import RedisAddress
from speed_layer.faults import RedisAway
from speed_layer.state import SpeedState

__all__ = ["NoSpeedJob", "Rebuild", "RebuildGivenUp"]

_LOOK = 1.0
_SILENCE = 60.0  # without a speed job; a new one needs its JVM, and resumes the rebuild


class NoSpeedJob(LambdaError):
    """Nobody could rebuild the speed state. Keeps the source."""

    def __init__(self, source: str, consequence: str) -> None:
        super().__init__(
            f"no speed job of {source} runs; start it: make up, or python -m local.spark_submit "
            f"speed_layer/job.py. {consequence}"
        )
        self.source = source


class RebuildGivenUp(LambdaError):
    """The speed job could not rebuild the state. Keeps the generation that stays in use."""

    def __init__(self, generation: str) -> None:
        super().__init__(
            f"the rebuild was given up, and generation {generation} stays in use; rebuild_given_up in the "
            "speed job's log says why; a Redis without room for a second generation is the usual reason"
        )
        self.generation = generation


@dataclass(frozen=True)
class Rebuild:
    """One request for one source. `wait` sleeps for seconds; `say` gets lines for a human."""

    state: SpeedState
    source: str
    say: Callable[[str], None]
    wait: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def run(self, reason: str) -> str:
        """Asks, and waits until readers have moved to the generation that it gives.

        Raises `NoSpeedJob`, `RebuildGivenUp`, and `RedisAway` if Redis cannot be asked when this begins.
        """
        replaced = self._replaced()
        self.state.request(RebuildRequest(replaced, reason))
        self.say(f"generation {replaced} answers until its successor has caught up")
        return self._await(replaced)

    def _replaced(self) -> str:
        current = self.state.current()
        if current is None or not self._lives():
            raise NoSpeedJob(self.source, "Nothing was asked for.")
        return current

    def _lives(self) -> bool:
        writing = self.state.writing()
        return writing is not None and self.state.lease(writing) is not None

    def _await(self, replaced: str) -> str:
        seen = self.clock()
        while True:
            self.wait(_LOOK)
            try:
                # in this order: readers move, and the request goes, in one step
                requested, current, lives = self.state.requested(), self.state.current(), self._lives()
            except RedisAway as error:
                self.say(f"waiting for Redis: {error}")
                continue
            if current not in (None, replaced):
                self.say(f"generation {current} is in use")
                return str(current)
            if requested is None and current == replaced:
                raise RebuildGivenUp(replaced)
            seen = self.clock() if lives else seen
            if self.clock() - seen > _SILENCE:
                raise NoSpeedJob(self.source, "The request stays, and the next speed job fulfils it.")
            self.say(self._progress() if lives else "waiting for the speed job")

    def _progress(self) -> str:
        writing, following = self.state.writing(), self.state.following()
        leader = self.state.progress(writing) if writing else None
        follower = self.state.progress(following) if following else None
        if leader is None or follower is None:
            return "waiting for the speed job to begin"
        return f"generation {following} is {behind(leader.end, follower.end):,} records behind"


def behind(leader: Offsets, follower: Offsets) -> int:
    return sum(max(0, end - follower.get(partition, 0)) for partition, end in leader.items())


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="speed_layer.rebuild", description=__doc__.partition("\n")[0])
    parser.add_argument("--source", help="name of the source; may be left out if the application has one")
    parser.add_argument("--reason", default="asked for by hand", help="what the speed job's log will say")
    options = parser.parse_args(arguments)
    try:
        _rebuild(get_settings(), options.source, options.reason)
    except LambdaError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("the speed job goes on rebuilding\n")
        return 130
    return 0


def _rebuild(settings: Settings, source: str | None, reason: str) -> None:
    name = Application.load(settings.application, settings.contracts_dir).source(source).source.name
    address = RedisAddress.of(settings)
    state = SpeedState(address.connect(), Layout(settings.namespace, name))
    try:
        Rebuild(state, name, _say).run(reason)
    except RedisAway as error:
        raise RedisAway(
            f"Redis at {address.url} is away ({error}); start it, or set LAMBDA_REDIS_URL"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
