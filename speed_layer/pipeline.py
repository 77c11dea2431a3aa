"""The steps of a micro-batch as one Spark job: decode, derive, project, fold, shuffle by shard, write."""

from dataclasses import dataclass
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from core.application import BoundSource
from core.folders import Folders
from core.layout import Layout
from speed_layer.clients import RedisAddress
from speed_layer.decode_step import DecodeStep, Segments
from speed_layer.deriving import derive
from speed_layer.event_chains import History
from speed_layer.faults import TaskFailed, of_text
from speed_layer.fold_step import PARTIALS, FoldStep
from speed_layer.micro_batch import MicroBatch
from speed_layer.notes import Notes
from speed_layer.plan import Plan
from speed_layer.scripts import Fence
from speed_layer.write_step import WriteStep

__all__ = ["Pipeline"]


@dataclass(frozen=True)
class Pipeline:
    """Runs micro-batches of one generation."""

    bound: BoundSource
    plan: Plan
    redis: RedisAddress
    layout: Layout
    generation: str
    token: str
    shards: int
    window: int
    tasks: int
    folders: Folders
    semantics: str
    resolution: Path | None = None

    def run(
        self,
        records: DataFrame,
        batch: int,
        segments: Segments,
        count_from: int,
        whole: bool = True,
        history: History | None = None,
    ) -> Notes:
        """Write `records` (value, partition, offset) into Redis as micro-batch `batch`.

        `whole` says that the generation knew at its start all of what lies before.
        Raises `RedisAway`, `RedisFull`, `StateLost` or `Superseded`; what was written may be written again.
        """
        fence = Fence(batch, self.token)
        decode = DecodeStep(
            self.bound.contract,
            self._columns,
            segments,
            count_from,
            self.redis,
            self.layout,
            self.generation,
            fence,
            self.shards,
            self.window,
            positions=bool(self.bound.declarations),
        )
        write = WriteStep(self.redis, self.layout, self.generation, fence, self.plan.views)
        decoded = records.select("value", "partition", "offset").mapInArrow(decode, decode.schema)
        derived = derive(
            decoded,
            self.bound.declarations,
            self._micro_batch(fence, segments, count_from, whole, history),
        )
        written = (
            derived.selectExpr(*self.plan.select())
            .mapInArrow(FoldStep(self.plan, self.shards), PARTIALS)
            .repartitionById(self.tasks, "shard")
            .mapInArrow(write, write.schema)
        )
        try:
            return Notes.total(row.note for row in written.collect())
        except (PySparkException, Py4JJavaError) as error:
            raise of_text(str(error)) or TaskFailed(_first_line(error)) from error

    @property
    def _columns(self) -> tuple[str, ...]:
        """What is read of an event; of one that others are derived from also its id and its time."""
        contract = self.bound.contract
        needed = [contract.event_id, contract.event_time] if self.bound.declarations else []
        return tuple(dict.fromkeys([*self.plan.columns, *needed]))

    def _micro_batch(
        self, fence: Fence, segments: Segments, count_from: int, whole: bool, history: History | None
    ) -> MicroBatch:
        return MicroBatch(
            self.bound.contract,
            self.redis,
            self.layout,
            self.generation,
            fence,
            self.shards,
            self.tasks,
            segments,
            count_from,
            whole,
            self.folders,
            self.semantics,
            self.window,
            self.bound.used,
            history,
            self.resolution,
        )


def _first_line(error: Exception) -> str:
    """What Java says first: the lines of py4j before it name a call only."""
    lines = [line.lstrip(": ") for line in str(error).splitlines()]
    return next((line for line in lines if "Exception" in line), lines[0])[:500]
