"""Merged queries of one key over seven days: `python -m bench.serving [--rate 200] [--seconds 20]`.

Seven days of 39,000 edits each, over 51 channels and 35,000 pages, hand-made; all of them published, or the
last one in the speed state only, in segments of half a minute as a live stream makes them. One API process.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import httpx
from redis import Redis

from bench.load import drive
from bench.report import percentiles, row, system
from bench.stand import standing
from bench.state import Command, manifest_of, publish, speed_commands
from conf.clients import redis_options
from conf.settings import Settings
from core.application import BoundSource
from core.folders import Folders
from core.handoff import Generation, Lease, Progress
from core.keys import key_text
from core.layout import Layout
from core.measures import Partial
from core.views import CompiledView

DAYS, EDITS, CHANNELS, PAGES = 7, 39_000, 51, 35_000
BEGIN, DAY, SEGMENT = 1_441_497_600, 86_400, 30
VIEWS = ("edits_by_page", "edits_by_channel", "wiki")
Day = Mapping[tuple[str, int, int], Partial]  # key, segment, bucket within the day


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    system()
    with tempfile.TemporaryDirectory() as folder:
        for published in (DAYS, DAYS - 1):
            _measure(Path(folder) / str(published), published, options.rate, options.seconds)
    return 0


def _measure(folder: Path, published: int, rate: float, seconds: float) -> None:
    with standing(folder, lambda settings, bound: fill(settings, bound, published)) as (settings, bound):
        for view in VIEWS:
            title = f"{view}, 7 days, {DAYS - published} of them unpublished"
            load(settings, bound.view(view), title, DAYS, rate, seconds)
        row("  memory of the API process", f"{usage(settings)[0]:.0f}", "MB")


def load(
    settings: Settings, view: CompiledView, title: str, days: int, rate: float, seconds: float, more: str = ""
) -> None:
    """Questions about one key each over so many days, and a line for what came of it."""
    span = f"from={BEGIN * 1000}&to={(BEGIN + days * DAY) * 1000}{more}"
    chance = random.Random(7)

    def path(_: int) -> str:
        channel, page = place(chance)
        key = "&".join(f"{name}={quote({'channel': channel, 'page': page}[name])}" for name in view.key)
        return f"/v1/views/{view.name}?{span}&{key}".rstrip("&")

    read = httpx.get(settings.api_url + path(0)).json()["read"]
    drive(
        "127.0.0.1", settings.api_port, path, rate / 2, 5
    )  # what a process keeps is a matter of what was asked
    before = usage(settings)[1]
    found = drive("127.0.0.1", settings.api_port, path, rate, seconds)
    used = (usage(settings)[1] - before) / (rate * seconds) * 1000
    row(f"{title}, {rate:.0f}/s", percentiles(found.seconds, 1000), "ms")
    row("  first read", f"{read['tiles']} tiles, {read['fields']} fields")
    row(
        "  CPU a request; failed; generator late by at most",
        f"{used:.2f} ms; {found.failed}; {found.late:.3f} s",
    )


def place(chance: random.Random) -> tuple[str, str]:
    """A channel and a page: few are edited often, most rarely."""
    number = min(int(chance.paretovariate(0.5)) - 1, PAGES - 1)
    return f"#c{number % CHANNELS}.wikipedia", f"Page {number}"


def fill(settings: Settings, bound: BoundSource, published: int) -> None:
    """All published days are segment 0; of the others each half minute is a segment."""
    views = [bound.view(name) for name in VIEWS]
    days = {view.name: day_of(view) for view in views}
    semantics, name = bound.semantics(settings.dedupe_window), bound.source.name
    publish(
        Folders(settings.data_dir, name), manifest_of(name, semantics, 1),
        [(view, _published(view, days[view.name], published)) for view in views],
    )  # fmt: skip
    fields = [(view, live(days[view.name], published, DAYS)) for view in views]
    write_speed(settings, bound, fields, DAYS - published)


def write_speed(
    settings: Settings, bound: BoundSource, fields: Sequence[tuple[CompiledView, Day]], unpublished: int
) -> None:
    """A speed state that holds the segments of so many days, and a cut after each of them."""
    name, semantics = bound.source.name, bound.semantics(settings.dedupe_window)
    now, last = time.time() + 3600, 1 + unpublished * DAY // SEGMENT
    cuts = Folders(settings.data_dir, name).cuts()
    for number in range(last):
        cuts.make({0: number}, "bench")
    generation = Generation("bench", name, 0, {}, semantics, settings.shards, "cluster", "topic")
    progress, layout = Progress(1, {0: last}, last, 1), Layout(settings.namespace, name)
    _write(settings, speed_commands(layout, generation, progress, Lease(1, now, now), fields))


def day_of(view: CompiledView) -> Day:
    """The partials of a day, which all days repeat."""
    chance, groups = random.Random(1), dict[tuple[str, int, int], list[Partial]]()
    for _ in range(EDITS):
        at, (channel, page) = int(chance.random() * DAY), place(chance)
        values = {"channel": channel, "page": page, "user": f"user {int(chance.paretovariate(0.6))}"}
        key = key_text([values[part] for part in view.key])
        numbers = {
            "added": 7,
            "deleted": 2,
            "delta": chance.randrange(-500, 500),
            "event_time": at * 1_000_000,
        }
        inputs = {
            name: _input(str(measure.expression), {**values, **numbers})
            for name, measure in view.measures.items()
        }
        where = (key, at // SEGMENT, at - at % view.width)
        groups.setdefault(where, []).append(view.lift(inputs))
    return {where: view.merge_all(found) for where, found in groups.items()}


def _input(expression: str, values: Mapping[str, object]) -> object:
    special = {
        "None": 1,
        "abs(delta)": abs(int(str(values["delta"]))),
        "concat(channel, ' ', page)": str(values),
    }
    return special.get(expression, values.get(expression))


def _published(view: CompiledView, day: Day, published: int) -> Mapping[tuple[str, int], Partial]:
    groups: dict[tuple[str, int], list[Partial]] = {}
    for (key, _, at), partial in day.items():
        groups.setdefault((key, at), []).append(partial)
    merged = {where: view.merge_all(found) for where, found in groups.items()}
    return {
        (key, BEGIN + number * DAY + at): partial
        for number in range(published)
        for (key, at), partial in merged.items()
    }


def live(day: Day, published: int, days: int) -> Day:
    """Of so many days those that are not published: each half minute is a segment."""
    return {
        (key, 1 + (number - published) * DAY // SEGMENT + segment, BEGIN + number * DAY + at): partial
        for number in range(published, days)
        for (key, segment, at), partial in day.items()
    }


def _write(settings: Settings, commands: Iterable[Command]) -> None:
    with Redis.from_url(settings.redis_address, **redis_options(settings)) as client:
        pipe = client.pipeline(transaction=False)
        for number, command in enumerate(commands):
            pipe.execute_command(*command)
            if number % 5000 == 0:
                pipe.execute()
        pipe.execute()
        row("  Redis holds", f"{client.info('memory')['used_memory'] / 2**20:.0f}", "MB")


def usage(settings: Settings) -> tuple[float, float]:
    """Megabytes and CPU seconds of the API's process: the largest of those that run for our port."""
    mark, found = f"LAMBDA_API_PORT={settings.api_port}".encode(), [(0.0, 0.0)]
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (
                mark in (path / "environ").read_bytes()
                and b"serving_layer" in (path / "cmdline").read_bytes()
            ):
                found.append(_of(path))
        except (OSError, IndexError):
            continue
    return max(found)


def _of(process: Path) -> tuple[float, float]:
    status = (process / "status").read_text()
    times = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
    resident = int(status.partition("VmRSS:")[2].split()[0]) / 1024
    return resident, sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
