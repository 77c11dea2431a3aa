"""The ledger as it stands in the commits of the master dataset."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from batch_layer.ledger import Chunk, read_ledger
from core.errors import FormatRefused, PositionError
from core.losses import Gap


def chunk(number: int, start: int, end: int, total: int, **lost: tuple[int, int]) -> Chunk:
    rows, gaps = {0: end - start}, {int(name[1:]): gap for name, gap in lost.items()}
    return Chunk("s", number, {0: start}, {0: end}, rows, {0: total}, "cluster", "topic", "contract", gaps)


def write(table: Path, metadata: Sequence[str | None]) -> None:
    (table / "_delta_log").mkdir(parents=True)
    for version, text in enumerate(metadata):
        info = {"commitInfo": {"operation": "WRITE"} | ({"userMetadata": text} if text else {})}
        (table / "_delta_log" / f"{version:020d}.json").write_text(json.dumps(info) + "\n")


def test_a_chunk_is_the_same_after_json() -> None:
    assert Chunk.from_json(json.loads(chunk(3, 10, 20, 20).to_json())) == chunk(3, 10, 20, 20)


def test_a_chunk_that_was_written_before_losses_were_recorded_has_none() -> None:
    entry = json.loads(chunk(3, 10, 20, 20).to_json())
    del entry["lost"]
    assert Chunk.from_json(entry) == chunk(3, 10, 20, 20)


def test_a_gap_is_passed_over_where_the_ledger_says_so_and_nowhere_else(tmp_path: Path) -> None:
    write(tmp_path / "told", [chunk(1, 0, 5, 5).to_json(), chunk(2, 7, 9, 7, p0=(5, 7)).to_json()])
    ledger = read_ledger(tmp_path / "told")
    assert (ledger.end, ledger.total, ledger.gaps) == ({0: 9}, {0: 7}, [Gap(0, 5, 7)])
    assert ledger.last == chunk(2, 7, 9, 7, p0=(5, 7))
    for number, gap in enumerate([(5, 6), (6, 7), (4, 7), (5, 8)]):
        write(tmp_path / str(number), [chunk(1, 0, 5, 5).to_json(), chunk(2, 7, 9, 7, p0=gap).to_json()])
        with pytest.raises(PositionError, match="archived up to 5, and then from 7"):
            read_ledger(tmp_path / str(number))


def test_commits_that_add_no_rows_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, [None, chunk(1, 0, 5, 5).to_json(), None, chunk(2, 5, 9, 9).to_json(), '{"other": 1}'])
    ledger = read_ledger(tmp_path)
    assert (ledger.version, ledger.number, ledger.end, ledger.total) == (4, 2, {0: 9}, {0: 9})


def test_there_is_no_ledger_before_the_first_commit(tmp_path: Path) -> None:
    ledger = read_ledger(tmp_path)
    assert (ledger.version, ledger.number, ledger.end) == (-1, 0, {})


@pytest.mark.parametrize(
    "second",
    [chunk(2, 6, 9, 8), chunk(2, 4, 9, 10), chunk(3, 5, 9, 9), chunk(2, 5, 9, 8)],
    ids=["hole", "overlap", "number left out", "total wrong"],
)
def test_commits_that_do_not_follow_each_other_are_an_error(tmp_path: Path, second: Chunk) -> None:
    write(tmp_path, [chunk(1, 0, 5, 5).to_json(), second.to_json()])
    with pytest.raises(PositionError):
        read_ledger(tmp_path)


def test_a_ledger_of_another_format_is_refused(tmp_path: Path) -> None:
    write(tmp_path, [chunk(1, 0, 5, 5).to_json().replace('"archive": 1', '"archive": 2')])
    with pytest.raises(FormatRefused, match="format 2"):
        read_ledger(tmp_path)
