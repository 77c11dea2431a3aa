"""Records that a log should not hold: a seeded generator of every kind."""

import json
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: things
version: "1.0.0"
schema:
  - name: things
    properties:
      - {name: event_id, logicalType: string, required: true}
      - {name: event_time, logicalType: timestamp, required: true}
      - {name: thing, logicalType: string, required: true}
      - name: amount
        logicalType: integer
        required: true
        logicalTypeOptions: {minimum: -1000, maximum: 1000}
      - {name: price, logicalType: number, physicalType: "decimal(10,2)"}
      - {name: ratio, logicalType: number}
      - {name: flag, logicalType: boolean}
"""
LIMIT, LONGEST = 1_048_576, 65_536
_NUMBERS: tuple[object, ...] = (
    2**53, 2**63, -(2**63) - 1, 2**64, 10**30, 10**400, 10**4000, 1e308, -1e308, 1e15, 0.1 + 0.2, -0.0,
)  # fmt: skip
_ODD = [chr(code) for code in range(32)] + list(':\n\r\t"\\{}[]|\x7f\u2028\u200b\ufeff\ufffe\U0001f600é')
_VALUES: tuple[object, ...] = (
    None,
    True,
    False,
    0,
    1,
    1.0,
    1.5,
    "",
    "1",
    "true",
    [],
    {},
    [1],
    {"a": 1},
    *_NUMBERS,
)
_TIMES = (
    "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-12:00", "1899-12-31T23:59:59.999999Z", "1900-01-01T00:00:00Z",
    "1900-01-01T00:30:00+01:00", "2200-12-31T23:59:59.999999Z", "2201-01-01T00:00:00Z",
    "2015-02-29T00:00:00Z", "2016-02-29T24:00:00Z", "2016-12-31T23:59:60Z", "2015-09-12",
    "2015-09-12T10:00:00", "20150912T100000Z", "2015-W37-6T10:00:00Z", "2015-09-12T10:00:00+25:00", "now", "",
    "2015-09-12T10:00:00.1234567891Z", "2015-09-12T10:00:00 Z", " 2015-09-12T10:00:00Z",
    "٢٠١٥-09-12T10:00:00Z",
)  # fmt: skip


class Bad(NamedTuple):
    """One record of a kind."""

    kind: str
    raw: bytes | None


def bad_records(count: int, seed: int) -> Iterator[Bad]:
    """`count` records, of every kind in turn; their event ids, where they have one, are their own."""
    for number in range(count):
        kind, make = _KINDS[number % len(_KINDS)]
        yield Bad(kind, make(random.Random(f"{seed} {number}"), number))


def thing(number: int, **changes: object) -> dict[str, Any]:
    """An event that the contract accepts."""
    return {
        "event_id": f"bad-{number}", "event_time": "2015-09-12T10:00:00Z", "thing": f"t{number % 7}",
        "amount": number % 100, "price": "1.50", "ratio": 0.5, "flag": True, **changes,
    }  # fmt: skip


def dumped(event: object) -> bytes:
    """JSON as it is written: NaN, lone surrogates and integers of any size included."""
    return json.dumps(event).encode()


# --- kinds --------------------------------------------------------------------------------------------------

Make = Callable[[random.Random, int], bytes | None]


def _random_bytes(rng: random.Random, number: int) -> bytes:
    return rng.randbytes(rng.randrange(200))


def _invalid_utf8(rng: random.Random, number: int) -> bytes:
    raw, broken = (
        dumped(thing(number)),
        rng.choice([b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xc0\xaf"]),
    )
    at = raw.index(b'"t') + rng.randrange(1, 3)
    return raw[:at] + broken + raw[at:]


def _truncated(rng: random.Random, number: int) -> bytes:
    raw = dumped(thing(number))
    return raw[: rng.randrange(len(raw))]


def _damaged(rng: random.Random, number: int) -> bytes:
    raw = bytearray(dumped(thing(number)))
    for _ in range(rng.randrange(1, 5)):
        raw[rng.randrange(len(raw))] = rng.randrange(256)
    return bytes(raw)


def _nested(rng: random.Random, number: int) -> bytes:
    depth = rng.choice([2, 50, 500, 1500, 20_000])
    opening, closing = rng.choice([(b"[", b"]"), (b'{"a":', b"}")])
    inside = opening * depth + b"1" + closing * depth * rng.choice([0, 1, 1])
    return rng.choice([inside, dumped(thing(number))[:-1] + b', "more": ' + inside + b"}"])


def _twice(rng: random.Random, number: int) -> bytes:
    name = rng.choice(["event_id", "event_time", "thing", "amount", "flag"])
    again = dumped({name: rng.choice([*_VALUES, thing(number)[name], f"other-{number}"])})
    parts = [dumped(thing(number))[1:-1], again[1:-1]]
    rng.shuffle(parts)
    return b"{" + b", ".join(parts) + b"}"


def _wrong_type(rng: random.Random, number: int) -> bytes:
    event = thing(number)
    for name in rng.sample(sorted(event), rng.randrange(1, 3)):
        event[name] = rng.choice(_VALUES)
    return dumped(event)


def _missing(rng: random.Random, number: int) -> bytes:
    event = thing(number)
    for name in rng.sample(sorted(event), rng.randrange(1, len(event))):
        del event[name]
    return dumped(event)


def _extra(rng: random.Random, number: int) -> bytes:
    more = {_odd_text(rng): rng.choice(_VALUES) for _ in range(rng.randrange(1, 20))}
    return dumped(
        thing(number, EVENT_ID="x", **{"event_id ": 1}) | {f"x{name}": value for name, value in more.items()}
    )


def _constants(rng: random.Random, number: int) -> bytes:
    word = rng.choice(
        [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"nan", b"+1", b"01", b".5", b"0x1", b"1e5"]
    )
    name = rng.choice(["amount", "ratio", "price", "more", "event_time"])
    return dumped(thing(number, **{name: "HERE"})).replace(b'"HERE"', word)


def _wide_number(rng: random.Random, number: int) -> bytes:
    name = rng.choice(["amount", "ratio", "price", "more", "event_time", "event_id"])
    digits = str(rng.randrange(1, 10)) + "".join(
        rng.choices("0123456789", k=rng.choice([18, 19, 20, 40, 400, 5000]))
    )
    return dumped(thing(number, **{name: "HERE"})).replace(
        b'"HERE"', (rng.choice(["", "-"]) + digits).encode()
    )


def _large(rng: random.Random, number: int) -> bytes:
    """Mostly just beyond what a text may be; few of them near the limit of a record."""
    name = rng.choice(["thing", "more", "event_id"])
    if number // len(_KINDS) % 40:
        return dumped(thing(number, **{name: "x" * rng.choice([128, 129, LONGEST, LONGEST + 1])}))
    empty = dumped(thing(number, **{name: ""}))
    return empty.replace(
        dumped({name: ""})[1:-1], dumped({name: "x" * (LIMIT - len(empty) + rng.choice([0, 1, 7]))})[1:-1]
    )


def _time(rng: random.Random, number: int) -> bytes:
    drawn = (_drawn_time(rng), _drawn_millis(rng), rng.choice(_TIMES))
    return dumped(thing(number, event_time=rng.choice(drawn)))


def _drawn_time(rng: random.Random) -> str:
    zone = timezone(timedelta(minutes=rng.randrange(-12 * 60, 14 * 60, 15)))
    moment = datetime(
        rng.choice([1, 1899, 1900, 2015, 2200, 2201, 9999]),
        rng.choice([1, 6, 12]),
        rng.choice([1, 28]),
        tzinfo=zone,
    )
    return moment.isoformat(timespec=rng.choice(["minutes", "seconds", "milliseconds", "microseconds"]))


def _drawn_millis(rng: random.Random) -> int:
    return rng.choice(
        [0, -1, 1442016000000, -2208988800000, -2208988800001, 7289654399999, 7289654400000, 2**63, -(2**70)]
    )


def _odd_key(rng: random.Random, number: int) -> bytes:
    return dumped(thing(number, thing=_odd_text(rng)))


def _odd_text(rng: random.Random) -> str:
    return "".join(rng.choices(_ODD, k=rng.randrange(6)))


def _surrogate(rng: random.Random, number: int) -> bytes:
    lone = chr(rng.randrange(0xD800, 0xE000))
    name = rng.choice(["thing", "event_id", "more", f"more{lone}"])
    return dumped(thing(number, **{name: f"a{lone}b"}))


def _marked(rng: random.Random, number: int) -> bytes:
    event = json.dumps(thing(number))
    return rng.choice(
        [
            b"\xef\xbb\xbf" + event.encode(),
            event.encode("utf-16"),
            event.encode("utf-32"),
            event.encode("utf-16-le"),
        ]
    )


def _no_object(rng: random.Random, number: int) -> bytes:
    value = rng.choice([*_VALUES, [thing(number)], json.dumps(thing(number))])
    return rng.choice(
        [dumped(value), dumped(thing(number)) + rng.choice([b"{}", b"\0", b",", b" x"]), b"", b" ", b"\n"]
    )


_KINDS: list[tuple[str, Make]] = [
    ("random bytes", _random_bytes), ("tombstone", lambda rng, number: None),
    ("invalid UTF-8", _invalid_utf8),
    ("truncated", _truncated), ("damaged", _damaged), ("nested", _nested), ("duplicate keys", _twice),
    ("wrong types", _wrong_type), ("missing fields", _missing), ("extra fields", _extra),
    ("NaN and infinities", _constants), ("beyond 64 bits", _wide_number), ("large", _large), ("times", _time),
    ("odd characters in keys", _odd_key), ("lone surrogates", _surrogate), ("byte order marks", _marked),
    ("no object", _no_object),
]  # fmt: skip
KINDS = [kind for kind, _ in _KINDS]
