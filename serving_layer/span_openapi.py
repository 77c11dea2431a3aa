"""What the OpenAPI document says of the time that is asked for."""

from typing import Any

from core.periods import UNITS

__all__ = ["SPAN_PARAMETERS"]


def _parameter(name: str, text: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": "string"}, "description": text} | more


SPAN_PARAMETERS: list[dict[str, Any]] = [
    _parameter(
        "from",
        "Start of the range, included: ISO 8601 with an offset, a date, milliseconds since 1970, or, with "
        "`zone`, what clocks there show; an edge of the view's bucket. Left out: from the first event on.",
        example="2015-09-12T00:00:00Z",
    ),
    _parameter(
        "to", "End of the range, not included. Left out: to the last event.", example="2015-09-13"
    ),
    _parameter(
        "last",
        "Instead of `from` and `to`: a span up to the end of the bucket that is filled now, `30m`, `24h`, "
        "`7d`, `2w` or `PT30M`, `P1DT12H`; a day is 24 hours. The answer says which range that was.",
        examples={"left out": {"summary": "from and to"}, "span": {"value": "24h"}},
    ),
    _parameter(
        "every",
        "Makes a series of at most 10,000 rows; a multiple of the view's bucket. Days, weeks (from Monday "
        "on) and months are those of `zone`.",
        schema={"type": "string", "enum": list(UNITS)},
    ),
    _parameter(
        "zone",
        "A time zone of the IANA database. Dates and times without an offset are local there, days have 23 "
        "or 25 hours where clocks change, and answers show the local time. Left out: UTC. Refused where a "
        "period there begins inside a bucket of the view.",
        example="Europe/Berlin",
    ),
]  # fmt: skip
