"""A year by day of one key: `python -m bench.year [--rate 200] [--seconds 20]`.

365 days of 39,000 edits each, hand-made as in `bench.serving`; all but the last published, which is in the
speed state only. Of the published days the index holds the tiles that are as wide as a day. One API process.
Aim: p99 at most 15 ms at 200 requests a second.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.report import row, system
from bench.serving import BEGIN, DAY, VIEWS, Day, day_of, live, load, usage, write_speed
from bench.stand import standing
from bench.state import manifest_of, publish_index, write_view
from conf.settings import Settings
from core.application import BoundSource
from core.folders import Folders
from core.measures import Partial
from core.views import CompiledView

DAYS = 365


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    system()
    with tempfile.TemporaryDirectory() as folder:
        _measure(Path(folder), options.rate, options.seconds)
    return 0


def _measure(folder: Path, rate: float, seconds: float) -> None:
    with standing(folder, _fill) as (settings, bound):
        for view in VIEWS:
            title = f"{view}, a year by day, 1 day unpublished"
            load(settings, bound.view(view), title, DAYS, rate, seconds, "&every=day")
        row("  memory of the API process", f"{usage(settings)[0]:.0f}", "MB")


def _fill(settings: Settings, bound: BoundSource) -> None:
    name, index, fields = bound.source.name, dict[str, str](), list[tuple[CompiledView, Day]]()
    folders, manifest = (
        Folders(settings.data_dir, name),
        manifest_of(name, bound.semantics(settings.dedupe_window), 1),
    )
    for view in map(bound.view, VIEWS):
        day = day_of(view)
        index |= write_view(folders.index(manifest.version), view.name, _days(view, day))
        fields.append((view, live(day, DAYS - 1, DAYS)))
    publish_index(folders, manifest, index)
    write_speed(settings, bound, fields, 1)


def _days(view: CompiledView, day: Day) -> Iterator[tuple[str, int, int, bytes]]:
    """Each key's tile of the day, packed, for every day but the last."""
    groups: dict[str, list[Partial]] = {}
    for (key, _, _), partial in day.items():
        groups.setdefault(key, []).append(partial)
    for key, partials in groups.items():
        packed = view.codec.pack(view.merge_all(partials))
        yield from ((key, DAY, BEGIN + number * DAY, packed) for number in range(DAYS - 1))


if __name__ == "__main__":
    sys.exit(main())
