"""The index of users' newest visits: built as those of views are, and read where Redis knows a user not."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_layer.index import build_part
from batch_layer.visits import _parts
from core.errors import StateLost
from core.folders import Folders
from core.keys import index_partition
from core.layout import VISITS
from core.manifest import Manifest
from core.visits import Visit, Visits, user_key
from speed_layer.visit_index import VisitIndex, choose
from speed_layer.visit_step import known, unknown_before

DECLARED = Visits(carry=["page", "robot"]).bind({"user": "long", "page": "string", "robot": "boolean"})
PARTITIONS = 3
HELD = {
    **{str(n): Visit(n * 10, n * 10 + 5, n % 2 == 0, (f"page {n}", n % 3 == 0)) for n in range(50)},
    "x" * 1000: Visit(-5, 2**60, False, (None, None)),
}


def built(
    folders: Folders, version: int, boundary: int, semantics: str = "abc", resolution: str = ""
) -> Manifest:
    """What a publish leaves: an index and a manifest that names it."""
    scratch, staged = folders.data / f"scratch{version}", folders.index(version)
    by_part: dict[int, list[tuple[str, Visit]]] = {}
    for user, visit in HELD.items():
        by_part.setdefault(index_partition(user_key(user), PARTITIONS), []).append((user, visit))
    for part, rows in by_part.items():
        (scratch / f"part={part}").mkdir(parents=True)
        pq.write_table(_table(rows), scratch / f"part={part}" / "a.parquet")
    files = [build_part(part) for part in _parts(DECLARED, PARTITIONS, staged, scratch)]
    index = {f"{VISITS}/{file.number}.mdb": file.sha256 for file in files}
    identity = {"hash": resolution} if resolution else {}
    manifest = Manifest(
        version, "site", boundary, {}, "c", "t", 0, semantics, "", index=index, identity=identity
    )
    folders.publications().manifests.append(version, manifest.entry())
    return manifest


def _table(rows: list[tuple[str, Visit]]) -> pa.Table:
    visits = [visit for _, visit in rows]
    return pa.table(
        {
            "key_text": [user_key(user) for user, _ in rows],
            "bucket": pa.array([0] * len(rows), pa.timestamp("us", "UTC")),
            "first": pa.array([visit.first for visit in visits], pa.int64()),
            "last": pa.array([visit.last for visit in visits], pa.int64()),
            "alone": pa.array([int(visit.alone) for visit in visits], pa.int64()),
            "visit_page": pa.array([visit.carried[0] for visit in visits], pa.string()),
            "visit_robot": pa.array(
                [None if visit.carried[1] is None else int(visit.carried[1]) for visit in visits], pa.int64()
            ),
        }
    )


def test_every_user_is_found_and_nobody_else(tmp_path: Path) -> None:
    folders = Folders(tmp_path, "site")
    index = VisitIndex.of(folders, built(folders, 1, 4))
    assert index is not None and len(index.files) == PARTITIONS
    assert index.look_up(DECLARED, [*HELD, "nobody", "x" * 999]) == HELD


def test_a_version_without_visits_or_with_damaged_ones_is_not_read(tmp_path: Path) -> None:
    folders = Folders(tmp_path, "site")
    manifest = built(folders, 1, 4)
    assert VisitIndex.of(folders, Manifest(2, "site", 4, {}, "c", "t", 0, "abc", "")) is None
    index = VisitIndex.of(folders, manifest)
    assert index is not None
    path = folders.index(1) / VISITS / f"{index_partition(user_key('1'), PARTITIONS)}.mdb"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(StateLost, match="its manifest says"):
        index.look_up(DECLARED, ["1"])
    path.unlink()
    with pytest.raises(StateLost, match="cannot be read"):
        index.look_up(DECLARED, ["1"])


def test_a_version_serves_if_its_boundary_lies_between_what_is_counted_and_what_was_consumed(
    tmp_path: Path,
) -> None:
    folders = Folders(tmp_path, "site")
    for version, boundary, semantics in ((1, 2, "abc"), (2, 5, "abc"), (3, 9, "abc"), (4, 5, "other")):
        built(folders, version, boundary, semantics)

    def chosen(count_from: int, consumed: int) -> int | None:
        found = choose(folders, "abc", count_from, consumed)
        return found.version if found else None

    assert [chosen(2, 4), chosen(2, 5), chosen(5, 8), chosen(2, 9), chosen(9, 9)] == [1, 2, 2, 3, 3]
    assert [chosen(6, 8), chosen(10, 12)] == [None, None]
    assert choose(Folders(tmp_path / "empty", "site"), "abc", 1, 9) is None


def test_a_generation_that_cannot_know_what_lies_before_says_so_or_ends(tmp_path: Path) -> None:
    folders = Folders(tmp_path, "site")
    built(folders, 1, 5)
    assert unknown_before(folders, "abc", 5) is None and unknown_before(folders, "abc", 0) is None
    assert "the visits that are under way at cut 6" in str(unknown_before(folders, "abc", 6))
    assert known(folders, "abc", 0, 3, True) is None
    assert known(folders, "abc", 6, 6, False) is None  # it began so, and its answers are incomplete
    found = known(folders, "abc", 5, 6, True)
    assert found is not None and found.version == 1
    with pytest.raises(StateLost, match="no version has users' visits as of a cut from 6 to 7"):
        known(folders, "abc", 6, 7, True)


def test_persons_are_looked_up_in_versions_of_their_resolution_alone(tmp_path: Path) -> None:
    folders = Folders(tmp_path, "site")
    for version, boundary, resolution in ((1, 2, ""), (2, 5, "one"), (3, 9, "two")):
        built(folders, version, boundary, resolution=resolution)

    def chosen(resolution: str | None) -> int | None:
        found = choose(folders, "abc", 2, 9, resolution)
        return found.version if found else None

    assert [chosen(one) for one in (None, "", "one", "two", "three")] == [3, 1, 2, 3, None]
    assert unknown_before(folders, "abc", 5, "one") is None
    assert "under way at cut 5" in str(unknown_before(folders, "abc", 5, "two"))
    with pytest.raises(StateLost, match="no version has users' visits as of a cut from 3 to 9"):
        known(folders, "abc", 3, 9, True, "")
