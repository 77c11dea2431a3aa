"""Expressions on one event in plain Python: what Spark gives (tests/integration holds both together)."""

from collections.abc import Mapping
from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest

from core.errors import NotEvaluable
from core.evaluation import _RULES, evaluator
from core.per_event import PerEvent
from core.repeatable import repeatable
from core.rules import RULES
from tests.expressions import ACCEPTED, COLUMNS
from tests.serving_kit import BOUND, buckets_of, edit
from tests.values import decoded

LARGEST = 2**63 - 1
EVENT: Mapping[str, Any] = {
    "text": "Ab\nc ", "other": "b", "number": -7, "amount": Decimal("12.3450"), "wide": Decimal("-1.500000"),
    "ratio": 2.5, "flag": True, "moment": 1_442_016_000_123_456,
}  # fmt: skip
NOTHING = dict.fromkeys(EVENT)
ONLY_SPARK = {
    "wide * wide", "year(cast(text as timestamp))", "cast(text as bigint)", "cast(number as timestamp)",
    "cast(ratio as timestamp)", "cast(ratio as decimal(18, 4))",
}  # fmt: skip


def of(text: str, /, **values: Any) -> Any:
    return evaluator(text, COLUMNS)({**EVENT, **values})


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("number + 1", {"number": LARGEST}, None),
        ("-number", {"number": -LARGEST - 1}, None),
        ("abs(number)", {"number": -LARGEST - 1}, None),
        ("number % 4", {}, -3),
        ("number % 0", {}, None),
        ("ratio / 0", {}, None),
        ("ratio % 2", {"ratio": -5.5}, -1.5),
        ("number > 9223372036854775806.5", {"number": LARGEST}, True),
        ("number = ratio", {"number": LARGEST, "ratio": 2.0**63}, True),
        ("ratio * 1e308 * 10 - ratio * 1e308 * 10 > ratio", {"ratio": 1e10}, True),
        ("greatest(ratio, number)", {"ratio": nan}, nan),
        ("amount + 1", {}, Decimal("13.3450")),
        ("amount * amount", {}, Decimal("152.39902500")),
        ("cast(amount as decimal(4,1))", {}, Decimal("12.3")),
        ("cast(amount as decimal(3,2))", {}, None),
        ("cast(wide as bigint)", {}, -1),
        ("cast(ratio as bigint)", {"ratio": inf}, None),
        ("flag AND NULL", {}, None),
        ("flag AND NULL", {"flag": False}, False),
        ("flag OR NULL", {}, True),
        ("number IN (1, NULL)", {}, None),
        ("number IN (-7, NULL)", {}, True),
        ("number NOT IN (1, 2)", {}, True),
        ("number BETWEEN 1 AND NULL", {}, False),
        ("text <=> NULL", {"text": None}, True),
        ("text LIKE 'A%c_'", {}, True),
        ("text LIKE 'a%'", {}, False),
        ("if(NULL, 1, 2)", {}, 2),
        ("coalesce(other, text)", {"other": None}, "Ab\nc "),
        ("nullif(number, -7.0)", {}, None),
        ("trim(text)", {}, "Ab\nc"),
        ("trim(text)", {"text": "\t x "}, "\t x"),
        ("length(text)", {"text": "é😀"}, 2),
        ("substring(text, 0, 2)", {}, "Ab"),
        ("substring(text, -3, 2)", {}, "\nc"),
        ("substring(text, -9, 5)", {}, "A"),
        ("substring(text, number, 2)", {"number": 2**31}, None),
        ("concat(text, NULL)", {}, None),
        ("hour(moment)", {"moment": -1}, 23),
        ("dayofweek(moment)", {}, 7),
        ("cast(moment as bigint)", {"moment": -1}, -1),
        ("cast(moment as string)", {}, "2015-09-12 00:00:00.123456"),
        ("cast(moment as string)", {"moment": 0}, "1970-01-01 00:00:00"),
        ("cast(flag as string)", {}, "true"),
    ],
)
def test_an_expression_gives_what_spark_gives(text: str, values: dict[str, Any], expected: Any) -> None:
    found = of(text, **values)
    assert (found, type(found)) == (expected, type(expected)) or (found != found and expected != expected)


@pytest.mark.parametrize(("text", "_", "kind"), ACCEPTED, ids=[case[0] for case in ACCEPTED])
def test_whatever_definitions_may_say_is_evaluated_or_refused_before_any_event(
    text: str, _: str, kind: str
) -> None:
    if text in ONLY_SPARK:
        with pytest.raises(NotEvaluable) as caught:
            evaluator(text, COLUMNS)
        assert caught.value.expression == text and caught.value.why
        return
    wanted = {"string": str, "long": int, "double": float, "boolean": bool, "timestamp": int}
    for event in (EVENT, NOTHING):
        found = evaluator(text, COLUMNS)(event)
        assert found is None or type(found) is wanted.get(kind, Decimal)


def test_no_rule_of_definitions_is_forgotten() -> None:
    assert _RULES.keys() == RULES.keys()


def test_a_fold_of_events_is_what_the_naive_one_says() -> None:
    edits = [
        edit(
            n, channel=f"#{n % 3}", user=f"u{n % 50}", page=f"p{n % 70}", delta=n % 1000 - 400,
            isRobot=n % 4 == 0, event_time=f"2015-09-12T{n % 24:02}:{n % 60:02}:00.5Z",
            countryIsoCode=[None, "DE"][n % 2],
        )
        for n in range(1000)
    ]  # fmt: skip
    for name, definition in BOUND.definitions.items():
        view = repeatable(BOUND.view(name))
        found = PerEvent.of(definition, view, BOUND.contract.types).fold(decoded(each) for each in edits)
        expected = buckets_of(BOUND.view(name), edits)
        assert found.keys() == expected.keys()
        for place, partial in found.items():
            assert view.present(partial) == BOUND.view(name).present(expected[place]), (name, place)
