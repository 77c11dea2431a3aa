"""Answers as JSON."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import orjson
import pytest

from core.instants import format_instant, parse_instant
from serving_layer.rendering import to_json

NEPAL = timezone(timedelta(hours=5, minutes=45))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (datetime(2015, 9, 12, 0, 46, 58, 771_000, UTC), '"2015-09-12T00:46:58.771Z"'),
        (datetime(2015, 9, 12, 5, 45, tzinfo=NEPAL), '"2015-09-12T00:00:00Z"'),
        # a float of microseconds would have lost the last digits
        (datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC), '"9999-12-31T23:59:59.999999Z"'),
        (Decimal("0.10"), "0.10"),
        (2**70, "1180591620717411303424"),
    ],
)
def test_values_without_a_form_in_json_are_shown_whole(value: object, shown: str) -> None:
    assert to_json({"value": value}) == b'{"value":%b}' % shown.encode()


def test_the_text_of_a_time_is_that_of_its_microseconds() -> None:
    moment = datetime(2015, 9, 12, 0, 46, 58, 1, UTC)
    text = orjson.loads(to_json([moment]))[0]
    assert format_instant(parse_instant(text)) == text == "2015-09-12T00:46:58.000001Z"
