"""Schedules in which events are corrected: what they name came before, never, or was corrected."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.model.corrected.orders import order_of
from tests.model.corrected.platform import CorrectedPlatform, CorrectingParts
from tests.model.machine import Schedules

keys, buckets = st.sampled_from("ab"), st.sampled_from([0, 3600])
fates = st.sampled_from([(True, False)] * 5 + [(False, False), (False, True)])


class CorrectedSchedules(Schedules):
    kind = CorrectedPlatform
    parts = CorrectingParts()

    @precondition(lambda self: self.platform.world.sent)
    @rule(data=st.data(), cancels=st.booleans(), key=keys, bucket=buckets, fate=fates)
    def correct(self, data: Any, cancels: bool, key: str, bucket: int, fate: tuple[bool, bool]) -> None:
        """Any event there ever was, or what that one named itself."""
        named = order_of(data.draw(st.sampled_from(self.platform.world.sent)))
        target = data.draw(st.sampled_from([named.event_id, named.corrects or named.event_id]))
        self.orders.send(named.partition, key, bucket, *fate, target, cancels)

    @rule(partition=st.integers(0, 1), cancels=st.booleans(), key=keys)
    def correct_what_never_came(self, partition: int, cancels: bool, key: str) -> None:
        self.orders.send(partition, key, corrects="nobody", cancels=cancels)

    @property
    def orders(self) -> CorrectedPlatform:
        assert isinstance(self.platform, CorrectedPlatform)
        return self.platform
