"""Live explanations of persons: the parts of all ids are read, those of the version and those since."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given

from core.folders import Folders
from serving_layer.answers import compose
from serving_layer.asking import Desk
from serving_layer.events_behind import Listing
from serving_layer.explaining import Explainer
from serving_layer.master_events import Limits
from serving_layer.past_desks import PastDesks
from serving_layer.ports import SpeedReading, SpeedStore
from serving_layer.questions import parse_question
from serving_layer.speed_fields import Asked, Field, SpeedFields
from tests.unit.test_serving_persons import BOUND, IDS, SOME, Hall, clock, halls


@dataclass
class FieldByField(SpeedFields):
    """What a store says of a key, as fields of one segment."""

    store: SpeedStore

    async def read(self, asked: Asked) -> tuple[SpeedReading, Sequence[Field] | None]:
        span = (asked.start, asked.end)
        reading = await self.store.read(asked.view, asked.key, span, asked.boundary)
        if reading.buckets is None:
            return reading, None
        return reading, [Field(asked.boundary, bucket, held) for bucket, held in reading.buckets]


def explainer_of(desk: Desk) -> Explainer:
    folders = Folders(Path("/nowhere"), "s")
    past = PastDesks(BOUND, "hash", folders, Limits(100, 100), 60.0, lambda: 0.0)
    return Explainer(desk, past, FieldByField(desk.speed), 20)


@SOME
@given(halls)
def test_an_explanation_is_the_answer_and_its_parts_add_up(hall: Hall) -> None:
    for view, given_ in [*(("by_person", {"person": id_}) for id_ in IDS), ("everybody", {})]:
        question = parse_question(BOUND.view(view), list(given_.items()), clock)
        desk = hall.desk()
        answer = compose(question, asyncio.run(desk.ask(question)))
        explained = asyncio.run(explainer_of(hall.desk()).explain(question, Listing()))
        told = ("rows", "complete", "reasons", "identity", "key")
        assert {name: explained[name] for name in told} == {name: answer[name] for name in told}
        row, layers = answer["rows"][0], explained["layers"]
        for layer, parts in (("batch", "tiles"), ("speed", "fields")):
            held = layers[layer][parts] if layers[layer] else []
            assert sum(part["measures"]["n"] for part in held) == (row[layer] or {"n": 0})["n"]
        assert explained["events"] == [] and explained["unlisted"] is None
