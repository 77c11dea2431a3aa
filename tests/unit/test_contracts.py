import json
import math
import pickle
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.contracts import Contract
from core.decoding import MAX_BYTES, Decoded
from core.errors import ContractError, UnknownName
from core.instants import format_instant, parse_instant

WIKIPEDIA = Path(__file__).parents[2] / "conf" / "contracts" / "wikipedia_edits.yaml"

ORDERS = """
apiVersion: v3.1.0
kind: DataContract
id: orders
version: "1.2.0"
status: active
schema:
  - name: orders
    properties:
      - {name: event_id, logicalType: string, required: true, primaryKey: true}
      - {name: event_time, logicalType: timestamp, required: true}
      - {name: buyer, logicalType: string, classification: personal, logicalTypeOptions: {maxLength: 5}}
      - {name: country, logicalType: string, logicalTypeOptions: {pattern: "^[A-Z]{2}$"}}
      - {name: state, logicalType: string, enum: [{value: new}, {value: paid}]}
      - {name: items, logicalType: integer, logicalTypeOptions: {minimum: 0, maximum: 100}}
      - {name: weight, logicalType: number}
      - {name: price, logicalType: number, physicalType: "decimal(10,2)"}
      - {name: gift, logicalType: boolean}
"""
CONTRACT = Contract.load(ORDERS)
VALID = {"event_id": "o-1", "event_time": "2024-02-29T12:00:00Z"}


def decode(raw: bytes | None) -> Decoded:
    return CONTRACT.decoder().decode(raw)


def value_of(column: str, value: object) -> object:
    """What one value decodes to, or the reason against it."""
    decoded = decode(orjson.dumps(VALID | {column: value}))
    return decoded.reason or decoded.values[list(CONTRACT.types).index(column)]


def refused(column: str, value: object) -> bool:
    return str(value_of(column, value)).startswith(f"{column} is ")


def changed(old: str, new: str) -> str:
    assert old in ORDERS
    return ORDERS.replace(old, new)


# ---- the naive decoder beside the clever one


def naive(raw: bytes) -> list[Any] | None:
    """What ORDERS means, spelled out: values in the order of the columns, or None if refused."""
    try:
        event = json.loads(raw.decode(), parse_constant=lambda name: float(name))
        json.dumps(event, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or raw.startswith(b"\xef\xbb\xbf"):
        return None
    readings = [
        naive_text(event.get("event_id"), 1, 128, required=True),
        naive_time(event.get("event_time")),
        naive_text(event.get("buyer"), 0, 5),
        naive_text(event.get("country"), 2, 2, alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        naive_text(event.get("state"), 0, 9, choices=("new", "paid")),
        naive_number(event.get("items"), int, 0, 100),
        naive_number(event.get("weight"), float, -1.8e308, 1.8e308),
        naive_decimal(event.get("price")),
        [event.get("gift")]
        if event.get("gift") in (None, True, False) and event.get("gift") not in ONES
        else [],
    ]
    return [reading[0] for reading in readings] if all(readings) else None


class _Ones:
    """Numbers that Python takes for truth values."""

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool)


ONES = _Ones()


def naive_text(
    value: Any, low: int, high: int, required: bool = False, alphabet: str = "", choices: tuple[str, ...] = ()
) -> list[Any]:
    if value is None:
        return [] if required else [None]
    right = isinstance(value, str) and low <= len(value) <= high
    right = right and (not alphabet or all(letter in alphabet for letter in value))
    return [value] if right and (not choices or value in choices) else []


def naive_time(value: Any) -> list[Any]:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    if isinstance(value, int) and not isinstance(value, bool):
        micros = value * 1000
    else:
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None or len(value) < 20:
                return []
        except (ValueError, TypeError):
            return []
        micros = (moment - epoch) // timedelta(microseconds=1)
    first, last = (datetime(year, 1, 1, tzinfo=UTC) for year in (1900, 2201))
    return [micros] if (first - epoch) <= timedelta(microseconds=micros) < (last - epoch) else []


def naive_number(value: Any, kind: type[int] | type[float], low: float, high: float) -> list[Any]:
    if value is None:
        return [None]
    if isinstance(value, bool) or not isinstance(value, int | kind) or not math.isfinite(value):
        return []
    return [kind(value)] if low <= value <= high else []


def naive_decimal(value: Any) -> list[Any]:
    if value is None:
        return [None]
    if isinstance(value, bool) or not isinstance(value, int | float | str) or value == "":
        return []
    if isinstance(value, str) and not set(value) <= set("-.0123456789"):
        return []
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        return []
    if isinstance(value, str) and (value.startswith(".") or value.startswith("-.") or value.endswith(".")):
        return []
    fits = abs(number) < 10**8 and number * 100 == int(number * 100)
    return [number] if fits else []


texts = st.text(max_size=7) | st.sampled_from(
    ["", "new", "paid", "DE", "DE\n", "de", "1", "x" * 128, "x" * 129]
)
numbers = (
    st.integers(-(2**70), 2**70) | st.integers(-2, 101) | st.floats(allow_nan=False, allow_infinity=False)
)
amounts = st.decimals(-(10**9), 10**9, places=3).map(str) | st.sampled_from(
    ["1.00", "1.", ".5", "-0", "1e3", "99999999.99"]
)
moments = st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat) | st.sampled_from(
    [
        "2024-02-30T00:00:00Z",
        "2024-01-01T00:00:00+05:30",
        "2024-01-01T00:00:00",
        "2024-01-01",
        "1899-12-31T23:59:59Z",
    ]
)
anything = (
    st.none() | st.booleans() | numbers | texts | amounts | moments | st.lists(st.integers(), max_size=2)
)
events = st.fixed_dictionaries(
    {"event_id": texts | anything, "event_time": moments | st.integers(-(2**44), 2**44)},
    optional={
        "buyer": texts,
        "country": texts,
        "state": texts,
        "items": numbers,
        "weight": numbers,
        "price": amounts | numbers,
        "gift": st.booleans() | anything,
        "more": anything,
    },
)


@given(events)
def test_decoding_agrees_with_the_naive_reading(event: dict[str, Any]) -> None:
    raw = json.dumps(event).encode()
    decoded, expected = decode(raw), naive(raw)
    assert (decoded.reason is None) == (expected is not None), decoded.reason
    if expected is not None:
        assert list(decoded.values) == expected


@given(events, st.sampled_from(sorted(CONTRACT.types)), anything)
def test_checking_finds_nothing_exactly_where_decoding_gives_no_reason(
    event: dict[str, Any], column: str, value: Any
) -> None:
    raw = json.dumps(event | {column: value}).encode()
    reason = decode(raw).reason
    violations = CONTRACT.check(orjson.loads(raw))
    assert [str(violation) for violation in violations[:1]] == [reason] * (reason is not None)
    assert CONTRACT.decoder().check_bytes(raw) == violations
    # a parser that keeps wide integers whole comes to the same
    assert [v.field for v in CONTRACT.check(json.loads(raw))] == [v.field for v in violations]


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xff\xfe")
@example(b"null")
@example(b"[" * 5000)
@example(b'{"event_id":' * 5000)
def test_no_bytes_make_it_raise(raw: bytes) -> None:
    decoded = decode(raw)
    assert len(decoded.values) == len(CONTRACT.columns)
    assert decoded.reason is not None and set(decoded.values) == {None}


@given(st.data())
def test_no_damage_to_a_valid_record_makes_it_raise(data: st.DataObject) -> None:
    raw = bytearray(orjson.dumps(VALID | {"buyer": "Zoë", "items": 3, "price": "1.10"}))
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=4)):
        raw[place] = data.draw(st.integers(0, 255))
    decoded = decode(bytes(raw))
    assert (decoded.reason is None) == (decoded.values[0] is not None)
    assert (decoded.reason is None) == (CONTRACT.decoder().check_bytes(bytes(raw)) == [])


# ---- what is refused, and how


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (None, "$ is null (a tombstone)"),
        (b"", "$ is no JSON"),
        (b'{"event_id": "\xff"}', "$ is no JSON"),
        (b"{'event_id': 1}", "$ is no JSON"),
        (b"{} {}", "$ is no JSON"),
        (b'{"weight": NaN}', "$ is no JSON"),
        (b'{"weight": Infinity}', "$ is no JSON"),
        (b'{"weight": 1e999}', "$ is no JSON"),
        (b'{"more": ' + b"[" * 2000 + b"]" * 2000 + b"}", "$ is no JSON"),
        (b'{"event_id": "\\ud800"}', "$ is no JSON"),
        (b"[1]", "$ is an array"),
        (b"17", "$ is 17"),
        (b'"text"', "$ is 'text'"),
        (b"{}", "event_id is missing"),
        (b'{"event_id": null}', "event_id is missing"),
        (b'{"event_id": 5}', "event_id is 5; allowed: text of 1 to 128 characters"),
        (b'{"event_id": {"a": 1}}', "event_id is an object"),
        (b" " * (MAX_BYTES + 1), f"$ is {MAX_BYTES + 1} bytes long; allowed: a JSON object in UTF-8"),
    ],
)
def test_a_refused_record_says_what_it_is_and_what_is_allowed(raw: bytes | None, reason: str) -> None:
    assert str(decode(raw).reason).startswith(reason)


@pytest.mark.parametrize("value", [-1, 101, 1.0, True, "1", 2**64, -(2**63), [], {}])
def test_an_integer_is_whole_within_its_bounds_and_written_without_a_fraction(value: object) -> None:
    assert refused("items", value if not isinstance(value, int) or abs(value) < 2**63 else float(value))


@pytest.mark.parametrize(
    "value",
    [
        "2015-09-12",
        "2015-09-12T00:46:58",
        "2015-W37-6T00:00:00Z",
        "20150912T000000Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2016-12-31T23:59:60Z",
        "2015-09-12T24:00:00Z",
        "2015-02-29T00:00:00Z",
        "now",
        1.5,
        True,
        10**15,
    ],
)
def test_a_time_that_is_no_instant_between_1900_and_2200_is_refused(value: object) -> None:
    assert refused("event_time", value)


@pytest.mark.parametrize(
    ("value", "micros"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31 19:00-0500", 0),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1970-01-01T00:00:00.000001999Z", 1),
        ("1969-12-31T23:59:59.999999Z", -1),
        (1_442_018_818_771, 1_442_018_818_771_000),
    ],
)
def test_a_time_is_iso_8601_with_any_offset_or_milliseconds(value: object, micros: int) -> None:
    assert value_of("event_time", value) == micros


@given(st.datetimes(timezones=st.just(UTC)))
def test_an_instant_survives_its_text(moment: datetime) -> None:
    micros = parse_instant(moment.isoformat())
    assert parse_instant(format_instant(micros)) == micros


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (0.1, "0.10"),
        (1, "1.00"),
        ("99999999.99", "99999999.99"),
        (-0.0, "0.00"),
        ("-5.50", "-5.50"),
        (12345678.91, "12345678.91"),
    ],
)
def test_a_decimal_is_what_was_written(value: object, meant: str) -> None:
    assert str(value_of("price", value)) == meant


@pytest.mark.parametrize(
    "value", [0.001, "0.001", 1e8, "100000000", "1e3", "١", " 1", "", True, 2**60, 0.1 + 0.2]
)
def test_a_decimal_is_never_rounded(value: object) -> None:
    assert refused("price", value)


def test_a_wide_decimal_keeps_all_its_digits_as_text() -> None:
    wide = Contract.load(changed("decimal(10,2)", "decimal(38,6)"))
    digits = "12345678901234567890123456789012.123456"
    assert str(wide.decoder().decode(orjson.dumps(VALID | {"price": digits})).values[7]) == digits
    assert wide.decoder().decode(orjson.dumps(VALID | {"price": "1" * 33})).reason


def test_negative_zero_and_integers_become_plain_doubles() -> None:
    assert str(value_of("weight", -0.0)) == "0.0"
    assert str(value_of("weight", 3)) == "3.0"


def test_a_pattern_ends_where_the_text_ends() -> None:
    assert value_of("country", "DE") == "DE"
    assert refused("country", "DE\n")


def test_lone_surrogates_and_numbers_beyond_64_bits_that_other_parsers_let_through_are_found() -> None:
    assert [v.field for v in CONTRACT.check(VALID | {"buyer": "\ud800", "items": 10**5000})] == [
        "buyer",
        "items",
    ]
    assert CONTRACT.check(VALID | {"items": 10**5000})[0].value == "a number beyond 64 bits"


def test_checking_names_every_field_at_fault_with_what_is_allowed() -> None:
    violations = CONTRACT.check({"event_id": "", "items": 101, "state": "old", "gift": 1})
    assert [(v.field, v.value, v.allowed.split(" (")[0]) for v in violations] == [
        ("event_id", "''", "text of 1 to 128 characters"),
        ("event_time", "missing", CONTRACT.column("event_time").allowed),
        ("state", "'old'", "one of 'new', 'paid'"),
        ("items", "101", "a whole number from 0 to 100"),
        ("gift", "1", "true or false"),
    ]
    assert CONTRACT.check(["no object"])[0].field == "$"  # type: ignore[arg-type]


def test_a_personal_value_is_never_quoted() -> None:
    reason = value_of("buyer", "Elisabeth")
    assert "Elisabeth" not in str(reason) and str(reason).startswith("buyer is a value not shown")


def test_a_long_value_is_quoted_in_part() -> None:
    assert len(str(value_of("state", "x" * 5000))) < 200


def test_further_fields_are_ignored_and_optional_ones_may_be_absent_or_null() -> None:
    assert decode(orjson.dumps(VALID | {"buyer": None, "more": [1]})) == decode(orjson.dumps(VALID))


def test_numbers_and_texts_are_bounded_where_the_contract_is_silent() -> None:
    silent = Contract.load(changed("logicalTypeOptions: {minimum: 0, maximum: 100}", "required: false"))
    assert (silent.column("items").low, silent.column("items").high) == (-(2**53) + 1, 2**53 - 1)
    assert silent.decoder().decode(orjson.dumps(VALID | {"items": 2**53})).reason
    assert CONTRACT.column("state").high == 65_536


def test_a_contract_can_widen_the_years() -> None:
    wide = Contract.load(
        changed(
            "logicalType: timestamp,", "logicalType: timestamp, logicalTypeOptions: {maximum: 9999-12-31},"
        )
    )
    event = VALID | {"event_time": "9000-01-01T00:00:00Z"}
    assert wide.check(event) == [] and CONTRACT.check(event) != []


# ---- the contract


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("kind: DataContract", "kind: Contract", ["kind", "'Contract'", "DataContract"]),
        ("apiVersion: v3.1.0", "apiVersion: v2.2.2", ["apiVersion", "v2.2.2", "v3.1.0"]),
        ('version: "1.2.0"', "version: 1.2", ["version", "1.2", "quoted"]),
        ("logicalType: boolean", "logicalType: bolean", ["'gift'", "did you mean 'boolean'"]),
        ("logicalType: boolean", "logicalTyp: boolean", ["'gift'", "did you mean 'logicalType'"]),
        ("{maxLength: 5}", "{maxLenght: 5}", ["'buyer'", "did you mean 'maxLength'"]),
        ("{maxLength: 5}", "{maxLength: five}", ["'buyer'", "maxLength", "'five'"]),
        ("{maxLength: 5}", "{minLength: 9, maxLength: 5}", ["'buyer'", "9 to 5"]),
        ("{maxLength: 5}", "{maxLength: 1000000}", ["'buyer'", "1000000", "65536"]),
        ("classification: personal", "classification: personel", ["'buyer'", "did you mean 'personal'"]),
        ("maximum: 100", "maximum: 9007199254740992", ["'items'", "9007199254740991"]),
        ("decimal(10,2)", "decimal(39,2)", ["'price'", "decimal(39,2)", "double"]),
        ("decimal(10,2)", "decimal(2,10)", ["'price'", "decimal(2,10)"]),
        ("^[A-Z]{2}$", "[A-Z", ["'country'", "pattern", "regular expression"]),
        ("{value: new}", "{value: yes}", ["'state'", "enum", "quoted"]),
        ("name: gift", "name: event_ID", ["'event_ID'", "whatever its case"]),
        ("name: gift", "name: gift-card", ["gift-card", "letter"]),
        ("name: event_time", "name: event_tim", ["event_time", "timestamp"]),
        (
            "logicalType: timestamp, required: true",
            "logicalType: timestamp",
            ["event_time", "optional timestamp"],
        ),
        ("logicalType: boolean", "logicalType: boolean, unique: true", ["'gift'", "unique", "event_id"]),
        ("primaryKey: true", "logicalTypeOptions: {maxLength: 300}", ["event_id", "300", "at most 128"]),
        (
            "required: true, primaryKey",
            "required: always, primaryKey",
            ["'event_id'", "required", "'always'"],
        ),
        ("schema:", "schemas:", ["schema", "exactly one"]),
        ("kind: DataContract", "kind: [", ["YAML"]),
    ],
)
def test_a_contract_that_cannot_be_honoured_says_where_what_and_the_way_out(
    old: str, new: str, words: list[str]
) -> None:
    with pytest.raises(ContractError) as caught:
        Contract.load(changed(old, new))
    assert all(word in str(caught.value) for word in ["contract", *words]), str(caught.value)


def test_a_contract_that_is_not_there_names_its_path(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"nowhere\.yaml"):
        Contract.load(tmp_path / "nowhere.yaml")


def test_the_fields_of_identity_and_time_can_have_other_names() -> None:
    other = Contract.load(
        ORDERS.replace("event_id", "uid").replace("event_time", "at"), event_id="uid", event_time="at"
    )
    assert (other.event_id, other.event_time, other.column("uid").high) == ("uid", "at", 128)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("maximum: 100", "maximum: 99"),
        ("maxLength: 5", "maxLength: 6"),
        ("{value: paid}", "{value: sent}"),
        ("decimal(10,2)", "decimal(10,3)"),
        ("name: gift", "name: present"),
        ("^[A-Z]{2}$", "^[A-Z]{3}$"),
        ("logicalType: boolean", "logicalType: boolean, required: true"),
    ],
)
def test_the_fingerprint_changes_with_the_meaning(old: str, new: str) -> None:
    assert Contract.load(changed(old, new)).fingerprint != CONTRACT.fingerprint


def test_the_fingerprint_stays_when_only_words_change() -> None:
    reworded = changed("logicalType: boolean", "logicalType: boolean, description: wrapped").replace(
        "1.2.0", "1.2.1"
    )
    assert Contract.load(reworded).fingerprint == CONTRACT.fingerprint
    assert Contract.load(reworded).version == "1.2.1"


def test_contracts_and_decoders_travel_to_workers() -> None:
    raw = orjson.dumps(VALID)
    contract = pickle.loads(pickle.dumps(CONTRACT))
    assert contract.decoder().decode(raw) == decode(raw) and contract.fingerprint == CONTRACT.fingerprint
    assert pickle.loads(pickle.dumps(CONTRACT.decoder())).decode(raw) == decode(raw)


def test_an_unknown_column_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'country'"):
        CONTRACT.column("county")


def test_the_contract_of_the_edits_is_whole() -> None:
    contract = Contract.load(WIKIPEDIA)
    assert [column.name for column in contract.columns if column.personal] == ["user"]
    assert all(column.description for column in contract.columns)
