"""Schedules in which events are corrected: what they name came before, never, or was corrected."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.model.corrected.orders import order_of
from tests.model.corrected.platform import CorrectedPlatform, CorrectingParts
from tests.model.machine import Schedules
from tests.model.speed import CUT_INTERVAL

keys, buckets = st.sampled_from("ab"), st.sampled_from([0, 3600])
fates = st.sampled_from([(True, False)] * 5 + [(False, False), (False, True)])


class CorrectedSchedules(Schedules):
    kind = CorrectedPlatform
    parts = CorrectingParts()

    @precondition(lambda self: self.platform.world.sent)
    @rule(data=st.data(), count=st.integers(1, 3), key=keys, bucket=buckets, fate=fates)
    def correct(self, data: Any, count: int, key: str, bucket: int, fate: tuple[bool, bool]) -> None:
        """Any events there ever were, or what these named themselves."""
        for _ in range(count):
            named = order_of(data.draw(st.sampled_from(self.platform.world.sent)))
            target = data.draw(st.sampled_from([named.event_id, named.corrects or named.event_id]))
            self.orders.send(named.partition, key, bucket, *fate, target, data.draw(st.booleans()))

    @precondition(lambda self: self.platform.copied())
    @rule(data=st.data(), segments=st.integers(0, 3))
    def correct_what_has_a_late_copy(self, data: Any, segments: int) -> None:
        """Or is one, of an event or of a correction."""
        self.let_segments_pass(segments)
        record = data.draw(st.sampled_from(self.platform.copied()))
        self.platform.send_again(record)
        self.orders.send(record.partition, corrects=record.event_id, cancels=data.draw(st.booleans()))

    @rule(partition=st.integers(0, 1), cancels=st.booleans(), key=keys)
    def correct_what_never_came(self, partition: int, cancels: bool, key: str) -> None:
        self.orders.send(partition, key, corrects="nobody", cancels=cancels)

    def let_segments_pass(self, count: int) -> None:
        """So many that a copy of what came before may be known no more."""
        for _ in range(count):
            self.platform.send(partition=1)
            self.platform.world.now += CUT_INTERVAL
            self.platform.run_speed()

    def happenings(self, data: Any) -> dict[str, Callable[[], None]]:
        return {**super().happenings(data), "chains are damaged": self.orders.damage_chains}

    @property
    def orders(self) -> CorrectedPlatform:
        assert isinstance(self.platform, CorrectedPlatform)
        return self.platform
