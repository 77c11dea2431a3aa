"""The hand-off under any schedule: crashes at every step, late publishers, lost state, new definitions.

What is asserted of every answer that calls itself complete: it holds each event sent before `as_of` once, and
nothing that was never sent. And once everything is let run to its end, answers are complete and exact.
`MODEL_SCHEDULES=20000 pytest tests/unit/test_model.py` runs many more, each of them longer.
"""

import pytest

from tests.model.machine import TIMEOUT, Schedules, drawn

Schedules.TestCase.settings = drawn(150)
TestSchedules = pytest.mark.timeout(TIMEOUT)(Schedules.TestCase)
