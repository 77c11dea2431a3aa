"""Several keys over the real day, by a real API, index and Redis, before and after a publish.

The oracle counts the events themselves: no tiles, no segments, no sketches.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from bench.state import manifest_of, publish, speed_commands
from conf.settings import Settings
from core.folders import Folders
from core.instants import parse_instant
from core.layout import Layout
from demo.dataset import Event, edits
from tests.integration.test_api import api, eventually
from tests.serving_kit import BOUND, DAY, SEMANTICS, buckets_of, fields_of, generation, lease, progress

VIEWS = [BOUND.view(name) for name in ("edits_by_page", "edits_by_channel")]
FROM, TO = DAY + 6 * 3600, DAY + 18 * 3600
RANGE = {"from": FROM * 1000, "to": TO * 1000}
HOURS = 24


def hour(event: Event) -> int:
    return int((parse_instant(event["event_time"]) // 1_000_000 - DAY) // 3600)


@dataclass
class Truth:
    """What is true of the events of the range: by page, and by channel."""

    edits: Counter[tuple[str, str]] = field(default_factory=Counter)
    added: Counter[tuple[str, str]] = field(default_factory=Counter)
    editors: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    pages: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def count(self, events: list[Event]) -> "Truth":
        for event in events:
            page = (event["channel"], event["page"])
            self.pages[event["channel"]].add(event["page"])
            if 6 <= hour(event) < 18:
                self.edits[page] += 1
                self.added[page] += event["added"]
                self.editors[event["channel"]].add(event["user"])
        return self


class Day:
    """The real day in the speed state whole, a segment an hour, and published up to any of them."""

    def __init__(self, settings: Settings, client: "Redis", events: list[Event]) -> None:
        self._folders = Folders(settings.data_dir, BOUND.source.name)
        self._events, self._version = events, 0
        placed = [(hour(event), event) for event in events]
        fields = [(view, fields_of(view, placed)) for view in VIEWS]
        pipe = client.pipeline(transaction=False)
        layout = Layout(settings.namespace, BOUND.source.name)
        for command in speed_commands(layout, generation(), progress(HOURS), lease(), fields):
            pipe.execute_command(*command)  # type: ignore[no-untyped-call]
        pipe.execute()

    def publish(self, boundary: int) -> int:
        """The version that holds every segment below `boundary`."""
        self._version += 1
        batch = [event for event in self._events if hour(event) < boundary]
        manifest = manifest_of(BOUND.source.name, SEMANTICS, boundary, self._version)
        publish(self._folders, manifest, [(view, buckets_of(view, batch)) for view in VIEWS])
        return self._version


@pytest.fixture(scope="module")
def events(server_settings: Settings) -> list[Event]:
    return edits(server_settings)


@pytest.fixture
def day(settings: Settings, redis_client: "Redis", events: list[Event]) -> Day:
    return Day(settings, redis_client, events)


@pytest.fixture
def client(settings: Settings, day: Day, tmp_path: Path) -> Iterator[httpx.Client]:
    day.publish(10)
    with api(settings.model_copy(update={"api_workers": 1}), tmp_path / "api.log") as client:
        yield client


def move(client: httpx.Client, day: Day, boundary: int) -> None:
    version = day.publish(boundary)
    ask: Callable[[], Any] = lambda: client.get("/v1/views/edits_by_channel/keys?limit=1").json()  # noqa: E731
    eventually(lambda: bool(ask()["manifest"]["version"] == version))


def test_many_keys_pages_and_rankings_of_the_real_day_through_publishes(
    client: httpx.Client, day: Day, events: list[Event]
) -> None:
    truth = Truth().count(events)
    _answers(client, truth)
    _pages_while_a_publish_comes(client, day, truth)
    _answers(client, truth)
    move(client, day, HOURS)
    _answers(client, truth)


def _answers(client: httpx.Client, truth: Truth) -> None:
    _query(client, truth)
    _rank_pages(client, truth)
    _rank_channels(client, truth)


def _query(client: httpx.Client, truth: Truth) -> None:
    pages = sorted((channel, page) for channel, names in truth.pages.items() for page in names)
    asked = [*random.Random(1).sample(pages, 900), *(("#none", str(number)) for number in range(100))]
    keys = [{"channel": channel, "page": page} for channel, page in asked]
    told = client.post("/v1/views/edits_by_page/query", json={"keys": keys, **RANGE}).json()
    assert told["complete"], told["reasons"]
    shown = [result["rows"][0]["measures"] for result in told["results"]]
    assert [(row["edits"], row["added"]) for row in shown] == [
        (truth.edits[page], truth.added[page]) for page in asked
    ]


def _rank_pages(client: httpx.Client, truth: Truth) -> None:
    for channel in ("#en.wikipedia", "#de.wikipedia", None):
        place = {} if channel is None else {"channel": channel}
        told = client.get(
            "/v1/views/edits_by_page/top", params={**RANGE, **place, "by": "edits", "n": 50}
        ).json()
        counts = {page: n for page, n in truth.edits.items() if channel in (None, page[0])}
        assert told["exact"] and told["complete"]
        ordered = sorted(counts.values(), reverse=True)
        assert [row["measures"]["edits"] for row in told["rows"]] == ordered[:50]
        for row in told["rows"]:
            assert row["measures"]["edits"] == counts[row["key"]["channel"], row["key"]["page"]]
        assert told["others"] == {"keys": len(ordered) - 50, "bound": ordered[50]}


def _rank_channels(client: httpx.Client, truth: Truth) -> None:
    told = client.get("/v1/views/edits_by_channel/top", params={**RANGE, "by": "editors", "n": 10}).json()
    true = {channel: len(users) for channel, users in truth.editors.items()}
    first = set(sorted(true, key=lambda channel: -true[channel])[:10])
    for row in told["rows"]:
        shown, channel = row["measures"]["editors"], row["key"]["channel"]
        assert shown["lower"] <= true[channel] <= shown["upper"]
        assert channel in first or not row["certain"]
    ranked = {row["key"]["channel"] for row in told["rows"]}
    assert all(n <= told["others"]["bound"] for channel, n in true.items() if channel not in ranked)


def _pages_while_a_publish_comes(client: httpx.Client, day: Day, truth: Truth) -> None:
    found: list[tuple[str, int]] = []
    changed: list[bool] = []
    cursor: dict[str, str] = {}
    while cursor or not found:
        place: dict[str, str | int] = {"channel": "#de.wikipedia", "limit": 100, **RANGE, **cursor}
        told = client.get("/v1/views/edits_by_page/keys", params=place).json()
        found += [(each["key"]["page"], each["rows"][0]["measures"]["edits"]) for each in told["results"]]
        changed.append(told["version_changed"])
        cursor = {} if told["cursor"] is None else {"cursor": told["cursor"]}
        if len(changed) == 2:
            move(client, day, 14)
    assert len(changed) > 3 and changed == [False, False, *[True] * (len(changed) - 2)]
    assert len(found) == len(truth.pages["#de.wikipedia"])
    assert dict(found) == {page: truth.edits["#de.wikipedia", page] for page in truth.pages["#de.wikipedia"]}
