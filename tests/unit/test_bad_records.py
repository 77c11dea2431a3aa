"""Thousands of bad records: each is refused with a reason, or accepted as its contract says."""

import os
from collections import Counter

import pytest

from core.contracts import Contract
from core.decoded import decode_column
from tests.bad_judge import judge
from tests.bad_records import CONTRACT, KINDS, Bad, bad_records, dumped, thing

THINGS = Contract.load(CONTRACT)
COUNT = int(os.environ.get("BAD_RECORDS", "12000"))
SEED = int(os.environ.get("BAD_SEED", "1"))


@pytest.fixture(scope="module")
def records() -> list[Bad]:
    return list(bad_records(COUNT, SEED))


def test_every_bad_record_is_refused_with_a_reason_or_accepted_as_the_contract_says(
    records: list[Bad],
) -> None:
    decode = THINGS.decoder().decode
    untold, told = Counter[str](), Counter[tuple[str, bool]]()
    for number, (kind, raw) in enumerate(records):
        reason, verdict = decode(raw).reason, judge(raw)
        if verdict is None:
            untold[kind] += 1
            continue
        shown = f"record {number} of seed {SEED} ({kind}): {raw[:300] if raw else raw!r}: {reason}"
        assert (reason is None) == verdict, shown
        assert reason is None or 0 < len(reason) < 1000, shown
        told[kind, verdict] += 1
    assert sum(untold.values()) < COUNT / 100, untold
    assert {kind for kind, _ in told} == set(KINDS)
    assert all(told[kind, True] for kind in ("odd characters in keys", "times", "extra fields", "large")), (
        told
    )


def test_checking_finds_the_same_faults_as_decoding(records: list[Bad]) -> None:
    decoder = THINGS.decoder()
    for kind, raw in records[:3000]:
        faults = decoder.check_bytes(raw)
        assert [str(fault) for fault in faults[:1]] == [r for r in [decoder.decode(raw).reason] if r], kind


def test_bad_records_among_good_ones_change_no_column(records: list[Bad]) -> None:
    """Whole columns of Arrow, as archive and speed job make them."""
    records = records[:3000]
    mixed = [
        raw
        for number, bad in enumerate(records)
        for raw in (bad.raw, dumped(thing(number, event_id=f"good-{number}")))
    ]
    reasons, events = decode_column(iter(mixed), THINGS)
    assert len(reasons) == len(events) == len(mixed)
    assert reasons[1::2].null_count == len(records)
    assert events.field("event_id")[1::2].to_pylist() == [f"good-{number}" for number in range(len(records))]
    assert [event is None for event in events.to_pylist()] == reasons.is_valid().to_pylist()
