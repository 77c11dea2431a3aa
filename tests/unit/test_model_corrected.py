"""Corrections under any schedule: measures that can be subtracted from are right, and the others or named."""

import pytest

from tests.model.corrected.machine import CorrectedSchedules
from tests.model.machine import TIMEOUT, drawn

CorrectedSchedules.TestCase.settings = drawn(100)
TestCorrectedSchedules = pytest.mark.timeout(TIMEOUT)(CorrectedSchedules.TestCase)
