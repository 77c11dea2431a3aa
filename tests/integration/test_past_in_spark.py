"""The past as the API reads it without a JVM, against the versions that Spark made at those very cuts."""

import asyncio
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from conf.settings import Settings
from core.folders import Folders
from core.keys import parse_key
from core.manifest import Manifest
from core.measures import Partial
from demo.dataset import Event, edits
from serving_layer.master_events import Limits
from serving_layer.master_log import MasterLog
from serving_layer.master_rows import MasterRows, Wanted
from serving_layer.past import Past
from serving_layer.past_desks import PastDesks
from serving_layer.questions import Question
from tests.batch_kit import Bench, bench
from tests.integration.test_incremental import rounds_of
from tests.serving_kit import edit

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

VIEWS = ("edits_by_channel", "robot_edits", "edits_by_country")
WIDTH = 86_400


def published(made: Bench, real: Sequence[Event]) -> dict[int, Manifest]:
    """A version at each of five cuts: late edits, copies of all ages with other contents, bad records."""
    found = {}
    for round_ in rounds_of(real, 7, 5):
        made.archive(*round_)
        manifest = made.run.run()
        assert manifest is not None
        found[manifest.boundary] = manifest
    return found


def past_of(made: Bench) -> PastDesks:
    folders = Folders(made.run.settings.data_dir, made.bound.source.name)
    return PastDesks(made.bound, made.run.semantics, folders, Limits(10_000, 10_000), 300, lambda: 0.0)


def asked(past: PastDesks, moment: Past, view: str, place: tuple[str, int]) -> Any:
    compiled, (key, start) = past.bound.view(view), place
    parts = dict(zip(compiled.key, parse_key(key), strict=True))
    return asyncio.run(past.answer(moment, Question(compiled, parts, start, start + WIDTH)))


def days(made: Bench, manifest: Manifest, view: str) -> dict[tuple[str, int], Partial]:
    """Every third key and day of a version's table."""
    held = sorted(
        (key, at, held) for (key, tile, at), held in made.rows(manifest, view).items() if tile == WIDTH
    )
    return {(key, at): partial for key, at, partial in held[::3]}


def test_every_cut_gives_what_spark_published_there_though_that_version_is_gone(
    spark: "SparkSession", settings: Settings, server_settings: Settings
) -> None:
    made = bench(spark, settings.model_copy(update={"versions_kept": 10}), *VIEWS)
    versions = published(made, list(edits(server_settings))[::60])
    rows = {(cut, view): days(made, held, view) for cut, held in versions.items() for view in VIEWS}
    for manifest in list(versions.values())[1:]:
        shutil.rmtree(made.run.folders.index(manifest.version))
    past, first = past_of(made), next(iter(versions.values()))
    for (cut, view), expected in rows.items():
        for place, partial in expected.items():
            answer = asked(past, Past(cut=cut), view, place)
            assert answer["past"]["version"] == first.version
            found, wanted = answer["rows"][0]["measures"], made.bound.view(view).present(partial)
            assert exact(found) == exact(wanted), (cut, view, place)
            by_offsets = asked(past, Past(offsets=versions[cut].offsets), view, place)
            assert by_offsets["rows"] == answer["rows"]


def exact(measures: dict[str, Any]) -> dict[str, Any]:
    """Without what KLL sketches of the same values may show differently."""
    fixed = ("count", "min", "max")
    return {
        name: [shown[each] for each in fixed] if name == "size" else shown for name, shown in measures.items()
    }


def test_a_log_of_which_only_a_checkpoint_is_left_says_the_same(
    spark: "SparkSession", settings: Settings
) -> None:
    made = bench(spark, settings, "robot_edits")
    for number in range(12):
        made.archive([edit(10 * number + n) for n in range(5)], [edit(10 * number + 5 + n) for n in range(5)])
    table = made.run.folders.master
    whole = MasterLog(table).look()
    assert len(whole.files) == 24 and dict(whole.end) == {0: 60, 1: 60}
    checkpoints = sorted((table / "_delta_log").glob("*.checkpoint*.parquet"))
    assert checkpoints
    for commit in range(int(checkpoints[-1].name[:20])):
        (table / "_delta_log" / f"{commit:020d}.json").unlink()
    left = MasterLog(table).look()
    assert (left.files, dict(left.end), left.at) == (whole.files, dict(whole.end), whole.at)


def test_a_range_of_time_is_read_from_the_row_groups_that_hold_it_once_their_times_are_known(
    spark: "SparkSession", settings: Settings
) -> None:
    made = bench(spark, settings, "robot_edits")
    for hour in range(3):
        at = f"2015-09-12T{hour:02}:10:00Z"
        made.archive([edit(10 * hour + n, event_time=at, isRobot=True) for n in range(4)], [])
    rows, files = MasterRows(made.bound.contract), MasterLog(made.run.folders.master).look().files
    wanted = Wanted(1_442_016_000 + 3600, 1_442_016_000 + 7200, {"channel": ["#en.wikipedia"]})

    def look() -> tuple[list[str], int]:
        spent: list[int] = []
        found = [row for file in files for row in rows.read(file, {}, {0: 12}, wanted, spent.append)]
        return sorted(str(row.values["event_id"]) for row in found), sum(spent)

    first, again = look(), look()
    assert first[0] == again[0] == [f"e{number}" for number in range(10, 14)]
    assert again[1] == 4
