"""Many keys at once: `python -m bench.keys [--rate 5] [--seconds 20]`.

Over the state of `bench.serving`, one process: 1,000 pages over 24 hours, a page of a listing, and rankings.
The 24 hours are published, or in the speed state only, or half and half (from noon to noon).
Aim: p99 at most 150 ms for 1,000 keys at 5 requests a second.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import httpx
import orjson

from bench.load import drive
from bench.report import percentiles, row, system
from bench.serving import BEGIN, CHANNELS, DAY, DAYS, fill, place, usage
from bench.stand import standing
from conf.settings import Settings

KEYS = 1_000
NOON = DAY // 2
END = BEGIN + DAYS * DAY


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=5)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    system()
    with tempfile.TemporaryDirectory() as folder:
        for published in (DAYS, DAYS - 1):
            _measure(Path(folder) / str(published), published, options.rate, options.seconds)
    return 0


def _measure(folder: Path, published: int, rate: float, seconds: float) -> None:
    with standing(folder, lambda settings, bound: fill(settings, bound, published)) as (settings, _):
        _queries(settings, published, rate, seconds)
        _listings(settings, published, rate, seconds)
        row("  memory of the API process", f"{usage(settings)[0]:.0f}", "MB")


def _queries(settings: Settings, published: int, rate: float, seconds: float) -> None:
    kind = "published" if published == DAYS else "unpublished"
    ranges = {f"24 hours, {kind}": (END - DAY, END), "24 hours from noon": (END - DAY - NOON, END - NOON)}
    for title, (start, end) in ranges.items():
        chance = random.Random(7)

        def body(_: int, start: int = start, end: int = end, chance: random.Random = chance) -> bytes:
            return orjson.dumps({"keys": _keys(chance), "from": start * 1000, "to": end * 1000})

        _load(settings, f"{KEYS} pages, {title}", "/v1/views/edits_by_page/query", body, rate, seconds)


def _keys(chance: random.Random) -> list[dict[str, str]]:
    """Different pages, many of them edited often."""
    found: dict[tuple[str, str], None] = {}
    while len(found) < KEYS:
        found[place(chance)] = None
    return [{"channel": channel, "page": page} for channel, page in found]


def _listings(settings: Settings, published: int, rate: float, seconds: float) -> None:
    days = f"from={(END - 2 * DAY) * 1000}&to={END * 1000}"
    wiki = f"channel=%23c{CHANNELS // 2}.wikipedia"
    for title, path, each in (
        ("100 keys of a channel", f"edits_by_page/keys?{wiki}&{days}", rate),
        ("first 20 pages of a channel by edits", f"edits_by_page/top?{wiki}&by=edits&n=20&{days}", rate),
        ("first 20 channels by editors", f"edits_by_channel/top?by=editors&n=20&{days}", rate),
        ("first 20 of all pages by edits", f"edits_by_page/top?by=edits&n=20&{days}", rate / 20),
    ):
        _load(
            settings,
            f"{title}, 2 days, {DAYS - published} unpublished",
            f"/v1/views/{path}",
            None,
            each,
            seconds,
        )


def _load(
    settings: Settings,
    title: str,
    path: str,
    body: Callable[[int], bytes] | None,
    rate: float,
    seconds: float,
) -> None:
    address = settings.api_url + path
    told = (
        httpx.get(address, timeout=60) if body is None else httpx.post(address, content=body(0), timeout=60)
    )
    drive("127.0.0.1", settings.api_port, lambda _: path, rate, max(4, 2 / rate), body)
    before = usage(settings)[1]
    found = drive("127.0.0.1", settings.api_port, lambda _: path, rate, seconds, body)
    used = (usage(settings)[1] - before) / int(rate * seconds) * 1000
    row(f"{title}, {rate:g}/s", percentiles(found.seconds, 1000), "ms")
    row("  first read", ", ".join(f"{count} {name}" for name, count in told.json()["read"].items()))
    row(
        "  CPU a request; failed; answer", f"{used:.0f} ms; {found.failed}; {len(told.content) / 1024:.0f} KB"
    )


if __name__ == "__main__":
    sys.exit(main())
