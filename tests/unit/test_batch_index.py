"""Index files made from a table's files hold every row, in order, under the keys that serving asks for."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import lmdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_layer import index
from batch_layer.delta_log import AddedFile, Commit
from batch_layer.index import Part, build_part, parts_of
from core import Count, Min, Source, Sum, View
from core.durability import sha256_of
from core.errors import HandoffError
from core.folders import Folders
from core.index_values import unframe
from core.keys import index_bucket, index_key, key_text
from core.views import CompiledView

HOUR, DAY = 3_600, 86_400
Row = tuple[str, int, int, int, int, str | None]


def view() -> CompiledView:
    measures = {"edits": Count(), "added": Sum("added"), "first": Min("page")}
    columns = {"page": "string", "added": "long", "event_time": "timestamp"}
    return View("edits", Source("s", contract="s"), key=("page",), measures=measures).compile(columns)


def table_file(folder: Path, name: str, tile: int, rows: Sequence[Row], part: str = "0") -> AddedFile:
    """A file as Spark writes it: the tile is in its folder's name only."""
    columns = list(zip(*rows, strict=True))
    table = pa.table(
        {
            "key_text": pa.array(columns[0], pa.string()),
            "bucket": pa.array(
                [datetime.fromtimestamp(at, UTC) for at in columns[2]], pa.timestamp("us", "UTC")
            ),
            "edits": pa.array(columns[3], pa.int64()),
            "added": pa.array(columns[4], pa.int64()).cast(pa.decimal128(38, 0)),
            "first": pa.array(columns[5], pa.string()),
        }
    )
    path = folder / name
    pq.write_table(table, path)
    return AddedFile(path, {"tile": str(tile), "part": part}, len(rows), path.stat().st_size)


def rows_of(keys: Sequence[str], width: int, count: int) -> list[Row]:
    return [
        (key, width, n * width, n, -n, None if n % 2 else f"é{n}") for key in keys for n in range(-2, count)
    ]


def build(tmp_path: Path, files: Sequence[AddedFile]) -> tuple[Part, index.IndexFile]:
    (part,) = parts_of(view(), Commit(1, None, list(files)), 1, tmp_path / "index")
    return part, build_part(part)


def entries(path: Path) -> list[tuple[bytes, bytes]]:
    with lmdb.open(str(path), subdir=False, readonly=True, lock=False) as env, env.begin() as transaction:
        return [(bytes(key), bytes(value)) for key, value in transaction.cursor()]


def test_every_row_of_every_file_is_found_by_key_tile_and_bucket(tmp_path: Path) -> None:
    keys = [key_text([text]) for text in ("b", "a", "", "ä:b", "x" * 600, "x" * 601)] + [key_text([None])]
    hours, days = rows_of(keys, HOUR, 30), rows_of(keys[:4], DAY, 2)
    files = [
        table_file(tmp_path, "one.parquet", HOUR, hours[:100]),
        table_file(tmp_path, "two.parquet", HOUR, hours[100:]),
        table_file(tmp_path, "day.parquet", DAY, days),
    ]
    part, made = build(tmp_path, files)
    found = dict(entries(part.path))
    assert made.rows == len(found) == len(hours) + len(days)
    for key, width, bucket, *partial in hours + days:
        value = found[index_key(key, width, bucket)]
        at = unframe(value, key)
        assert at is not None and view().codec.unpack(value, at) == tuple(partial)
        assert index_bucket(index_key(key, width, bucket)) == bucket


def test_a_key_of_any_length_has_its_rows_and_no_other_has(tmp_path: Path) -> None:
    """Beyond the longest text that a contract accepts: nothing a record holds may stop a run."""
    lengths = (4_000, 4_096, 65_530, 65_536, 300_000)
    keys = [key_text(["é" * (length // 2) + end]) for length in lengths for end in ("", "x", "y")]
    rows = rows_of(keys, HOUR, 3)
    part, made = build(tmp_path, [table_file(tmp_path, "one.parquet", HOUR, rows)])
    found = dict(entries(part.path))
    assert made.rows == len(rows)
    for key, width, bucket, *partial in rows:
        value = found[index_key(key, width, bucket)]
        at = unframe(value, key)
        assert at is not None and view().codec.unpack(value, at) == tuple(partial)
        assert unframe(value, key + "z") is None


def test_a_range_is_one_walk_in_order_of_time(tmp_path: Path) -> None:
    keys = [key_text([text]) for text in ("b", "a", "ab")]
    part, _ = build(tmp_path, [table_file(tmp_path, "one.parquet", HOUR, rows_of(keys, HOUR, 5)[::-1])])
    assert [key for key, _ in entries(part.path)] == sorted(
        index_key(key, HOUR, n * HOUR) for key in keys for n in range(-2, 5)
    )


def test_the_batches_of_a_large_part_are_one_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_ROWS", 7)
    rows = rows_of([key_text([f"p{n}"]) for n in range(9)], HOUR, 5)
    part, made = build(tmp_path, [table_file(tmp_path, "one.parquet", HOUR, rows)])
    assert made.rows == len(rows) == len(entries(part.path))


def test_a_part_without_rows_is_an_empty_file(tmp_path: Path) -> None:
    part, made = build(tmp_path, [])
    assert made.rows == 0 and entries(part.path) == []


def test_two_rows_with_one_place_are_an_error(tmp_path: Path) -> None:
    twins = rows_of([key_text(["a"])], HOUR, 3) * 2
    with pytest.raises(HandoffError, match="two rows share a key"):
        build(tmp_path, [table_file(tmp_path, "one.parquet", HOUR, twins)])


def test_a_finished_file_is_read_only_and_its_digest_is_that_of_its_bytes(tmp_path: Path) -> None:
    files = [table_file(tmp_path, "one.parquet", HOUR, rows_of(["1:a"], HOUR, 3))]
    part, made = build(tmp_path, files)
    assert part.path.stat().st_mode & 0o222 == 0
    assert made.sha256 == sha256_of(part.path)
    assert made.tables == {"one.parquet": sha256_of(files[0].path)}


def test_what_a_crashed_run_left_is_swept_and_a_finished_index_moves_whole(tmp_path: Path) -> None:
    folders = Folders(tmp_path, "s")
    staged, crashed = index.staging(folders, 1), index.staging(folders, 1)
    (staged / "view").mkdir()
    index.install(staged, folders.index(1))
    assert index.sweep(folders.index(1).parent) == [crashed.name]
    assert [path.name for path in folders.index(1).parent.iterdir()] == [folders.index(1).name]
