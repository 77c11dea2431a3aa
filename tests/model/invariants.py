"""What holds at every step, whatever happens; and how an answer's sums are read."""

from collections import Counter
from itertools import pairwise

from tests.model.world import Counts, World


def holds(world: World) -> None:
    boundary_falls_only_by_a_roll_back(world)
    manifests_read_each_position_once(world)
    every_field_can_be_dropped(world)
    assert world.alarms == [], "a false alarm"


def boundary_falls_only_by_a_roll_back(world: World) -> None:
    publications = world.publications
    pointers = [publications.pointer(number) for number in publications.pointers.numbers()]
    for before, after in pairwise(pointers):
        assert after.kind == "rollback" or after.boundary >= before.boundary, "the boundary fell"


def manifests_read_each_position_once(world: World) -> None:
    for version in world.publications.manifests.numbers():
        manifest = world.publications.manifest(version)
        lost = sum(gap["end"] - gap["start"] for gap in manifest.losses)
        assert manifest.counts["read"] + lost == sum(manifest.offsets.values()), "a hole, or twice"


def every_field_can_be_dropped(world: World) -> None:
    for shard in [shard for shards in world.redis.shards.values() for shard in shards]:
        assert all(name in shard.touched.get(name.segment, ()) for name in shard.fields), "a field leaks"


def spelled(counts: Counts, semantics: int) -> Counts:
    """How often each event is in an answer, read off the digits of its sums."""
    found: Counts = Counter()
    for (view, key, bucket, measure), number in counts.items():
        if measure == "total":
            assert number % semantics == 0, "a sum of two definitions"
            for place, digit in enumerate(reversed(str(number // semantics))):
                found[view, key, bucket, f"{measure} {place}"] = int(digit)
        else:
            found[view, key, bucket, measure] = number
    return found
