from datetime import UTC, datetime

import pytest

from demo.truth import Truth, quantile_rank_range


def event(number: int, at: str = "12:00", **values: object) -> dict[str, object]:
    return {"event_id": f"e{number}", "event_time": f"2015-09-12T{at}:00Z"} | values


EVENTS = [
    event(1, "10:00", user="ann", added=5, country="US"),
    event(2, "10:59", user="bob", added=7, country=None),
    event(3, "11:00", user="ann", added=None, country="US"),
    event(1, "13:00", user="eve", added=1000, country="FR"),
    event(4, "12:00", user="cyd", added=7, country=None),
]
TRUTH = Truth(EVENTS)


def at(hour: int) -> datetime:
    return datetime(2015, 9, 12, hour, tzinfo=UTC)


def test_the_first_of_copies_counts() -> None:
    assert TRUTH.answer().count == 4
    assert "eve" not in TRUTH.answer().distinct("user")


def test_a_range_holds_its_begin_and_not_its_end() -> None:
    assert [e["event_id"] for e in TRUTH.answer(frm=at(10), to=at(11))] == ["e1", "e2"]


def test_a_key_part_may_be_null() -> None:
    assert [e["event_id"] for e in TRUTH.answer({"country": None})] == ["e2", "e4"]


def test_a_predicate_filters() -> None:
    assert TRUTH.answer({"user": "ann"}, where=lambda e: e["added"] is not None).count == 1


def test_nulls_count_in_no_measure_and_nothing_has_no_sum() -> None:
    answer = TRUTH.answer()
    assert (answer.total("added"), answer.least("added"), answer.greatest("added")) == (19, 5, 7)
    nobody = TRUTH.answer({"user": "nobody"})
    assert (nobody.count, nobody.total("added"), nobody.least("added")) == (0, None, None)


def test_measures_take_functions_of_an_event() -> None:
    assert TRUTH.answer().distinct(lambda e: e["user"][0]) == {"a", "b", "c"}
    assert TRUTH.answer().sorted(lambda e: e["added"]) == [5, 7, 7]


def test_the_most_frequent_come_first_and_ties_by_value() -> None:
    assert TRUTH.answer().top("user", 2) == [("ann", 2), ("bob", 1)]


def test_buckets_start_at_multiples_of_their_length() -> None:
    hours = TRUTH.answer().buckets(3600)
    assert [(datetime.fromtimestamp(start, UTC).hour, part.count) for start, part in hours.items()] == [
        (10, 2),
        (11, 1),
        (12, 1),
    ]


@pytest.mark.parametrize(
    ("value", "ranks"), [(0, (0.0, 0.0)), (1, (0.0, 0.25)), (2, (0.25, 0.75)), (9, (1.0, 1.0))]
)
def test_the_rank_of_a_value_is_a_range_where_it_occurs(value: int, ranks: tuple[float, float]) -> None:
    assert quantile_rank_range([1, 2, 2, 3], value) == ranks
