"""The fields of the speed state, asked about persons: of whichever id a key names, those of all its parts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from serving_layer.person_stores import PersonSpeed, SilentSpeed
from serving_layer.ports import SpeedReading, SpeedSilent, SpeedStore
from serving_layer.speed_fields import Asked, Field, SpeedFields

__all__ = ["PersonFields", "fields_of"]


@dataclass(frozen=True)
class PersonFields(SpeedFields):
    """The fields of all parts of a person, one part after the other."""

    inner: SpeedFields
    speed: PersonSpeed

    async def read(self, asked: Asked) -> tuple[SpeedReading, Sequence[Field] | None]:
        keys, note = self.speed.now.counted_keys(asked.view, asked.key)
        found = [await self.inner.read(replace(asked, key=key)) for key in keys]
        readings = [reading for reading, _ in found]
        for reading in readings[1:]:
            self.speed.told(reading, note)
        whole = self.speed.told(readings[0], note)
        if any(fields is None for _, fields in found):
            return whole, None
        fields = sorted(
            (field for _, some in found for field in some or ()),
            key=lambda field: (field.segment, field.bucket),
        )
        return replace(
            whole, stamps=tuple(stamp for reading in readings for stamp in reading.stamps),
            floor=max(reading.floor for reading in readings), fields=len(fields),
            buckets=[(field.bucket, field.partial) for field in fields],
        ), fields  # fmt: skip


@dataclass(frozen=True)
class _SilentFields(SpeedFields):
    reason: str

    async def read(self, asked: Asked) -> tuple[SpeedReading, Sequence[Field] | None]:
        raise SpeedSilent(self.reason)


def fields_of(fields: SpeedFields, speed: SpeedStore) -> SpeedFields:
    """The fields of a speed state, asked for as the state is that a question was given."""
    if isinstance(speed, SilentSpeed):
        return _SilentFields(speed.reason)
    return PersonFields(fields, speed) if isinstance(speed, PersonSpeed) else fields
