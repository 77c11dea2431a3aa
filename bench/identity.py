"""How fast pairs of ids become persons: `python -m bench.identity [--ids 1000000] [--pairs 500000]`.

Of the ids some are in long chains, some in groups of a dozen, and many in one big group, as where a shared
device joined people; the rest is random. Both ways that the batch layer has are measured, and must agree.

Aim: 1,000,000 ids with 500,000 pairs resolved in at most 3 minutes on 2 cores.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame

from batch_layer.components import on_driver, on_spark
from batch_layer.session import build_session
from bench.report import row, system
from conf.settings import get_settings
from core.groups import Pair
from local.spark_submit import job_command

CHAIN = 1_000
_GROUP = 12


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ids", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=500_000)
    options = parser.parse_args(arguments)
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        return _driver(options.ids, options.pairs)
    system()
    command = job_command(__file__, *arguments)
    environment = os.environ | get_settings().environment()
    return subprocess.run(command, env=environment, check=False).returncode


def pairs_of(ids: int, count: int, seed: int = 1) -> Iterator[Pair]:
    """A fifth each of chains, small groups and one big group; two fifths between any two ids."""
    dice = random.Random(seed)
    names = [f"id-{n:08x}" for n in dice.sample(range(16**8), ids)]
    fifth = count // 5
    for n in range(fifth):
        yield names[n], names[n + 1] if n % CHAIN else names[n + CHAIN - 1]
    for n in range(fifth, 2 * fifth):
        yield names[n - n % _GROUP], names[n + 1]
    for n in range(2 * fifth, 3 * fifth):
        yield names[n], names[dice.randrange(2 * fifth, n + 1)]
    for _ in range(3 * fifth, count):
        yield dice.choice(names), dice.choice(names)


def _driver(ids: int, count: int) -> int:
    spark = build_session("bench-identity")
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    table = pa.Table.from_pylist([{"one": a, "other": b} for a, b in pairs_of(ids, count) if a != b])
    pairs = spark.createDataFrame(table).persist()
    row("ids, pairs", f"{ids:,}, {pairs.count():,}")
    found = [_measure(name, way, pairs) for name, way in (("Spark", on_spark), ("the driver", on_driver))]
    assert found[0] == found[1], f"{found[0]} by Spark, {found[1]} by the driver"
    row("ids in groups, persons, largest group", "{:,}, {:,}, {:,}".format(*found[0][:3]))
    spark.stop()
    return 0


def _measure(name: str, way: Callable[[DataFrame], DataFrame], pairs: DataFrame) -> tuple[int, ...]:
    """Ids, persons, the largest group, and a sum over what was found, by which two ways are compared."""
    began = time.monotonic()
    found = way(pairs)
    ids = found.count()
    row(f"resolved by {name}", f"{time.monotonic() - began:.1f}", "s")
    groups = found.groupBy("person").count()
    persons, largest = groups.selectExpr("count(*)", "max(count)").first() or (0, 0)
    digest = found.selectExpr("bit_xor(xxhash64(id, person))").first()
    return ids, persons, largest, digest[0] if digest else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
