"""A naive judge of the contract in tests/bad_records.py.

It reads plain JSON and the rules as docs/contracts.md has them, and shares no code with the decoder. Where
the rules leave it open (how deep is too deep) it says nothing.
"""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from tests.bad_records import LIMIT, LONGEST

__all__ = ["judge"]

_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2201, 1, 1, tzinfo=UTC)


class _Refused(Exception):
    """What the judge found is no valid event."""


def judge(raw: bytes | None) -> bool | None:
    """Whether the contract accepts a record; None where its rules leave that open."""
    if raw is None or len(raw) > LIMIT:
        return False
    try:
        text = raw.decode()
        if _depth(text) > 900:
            return None if _depth(text) < 1100 else False
        return _accepts(
            json.loads(
                text, object_pairs_hook=_object, parse_constant=_never, parse_int=_int, parse_float=_float
            )
        )
    except (_Refused, ValueError, RecursionError):
        return False


def _depth(text: str) -> int:
    """At most: brackets in texts count too."""
    return max(text.count("["), text.count("{"))


def _never(word: str) -> None:
    raise _Refused(word)


def _int(digits: str) -> int:
    return int(digits) if len(digits) < 20 else int(Decimal(_float(digits)))


def _float(digits: str) -> float:
    if math.isinf(float(digits)):
        raise _Refused(digits[:20])
    return float(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a key written twice the last counts, and both must be text that UTF-8 can write."""
    told = [[name, None if isinstance(value, dict) else value] for name, value in pairs]
    json.dumps(told, ensure_ascii=False).encode()
    return dict(pairs)


def _accepts(event: Any) -> bool:
    json.dumps(event, ensure_ascii=False).encode()
    return isinstance(event, dict) and all(
        rule(event[name]) if event.get(name) is not None else not required
        for name, (required, rule) in _RULES.items()
    )


def _text(most: int, least: int = 0) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and least <= len(value) <= most


def _is_amount(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -1000 <= value <= 1000


def _is_ratio(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_price(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    text = value if isinstance(value, str) else f"{value:.15g}"
    if isinstance(value, str) and not text.removeprefix("-").replace(".", "", 1).isdecimal():
        return False
    if (
        text.endswith(".")
        or text.lstrip("-").startswith(".")
        or (not isinstance(value, str) and float(text) != value)
    ):
        return False
    try:
        cents = Decimal(text) * 100
    except InvalidOperation:
        return False
    return abs(cents) < 10**10 and cents == int(cents) and text.isascii()


def _is_time(value: Any) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return (_FIRST.timestamp() * 1000) <= value < (_LAST.timestamp() * 1000)
    return isinstance(value, str) and value.isascii() and _is_written_time(value)


def _is_written_time(text: str) -> bool:
    """A day, `T` or a space, hours and minutes at least, and a zone: spelled in full."""
    day, clock = text[:10], text[11:]
    at = len(clock) - 1 if clock.endswith("Z") else max(clock.rfind("+"), clock.rfind("-"))
    plain, zone = clock[: max(at, 0)], clock[max(at, 0) :]
    shaped = (
        day[4::3] == "--"
        and day.replace("-", "").isdecimal()
        and text[10:11] in ("T", " ")
        and len(zone) in (1, 5, 6)
    )
    spelled = len(plain) >= 5 and plain[2] == ":" and set(plain) <= set("0123456789:.")
    if not shaped or not spelled or plain.startswith("24") or len(plain.partition(".")[2]) > 9:
        return False
    return _FIRST <= datetime.fromisoformat(f"{day}T{plain}{zone}") < _LAST


_RULES: dict[str, tuple[bool, Callable[[Any], bool]]] = {
    "event_id": (True, _text(128, 1)), "event_time": (True, _is_time), "thing": (True, _text(LONGEST)),
    "amount": (True, _is_amount), "price": (False, _is_price), "ratio": (False, _is_ratio),
    "flag": (False, lambda value: isinstance(value, bool)),
}  # fmt: skip
