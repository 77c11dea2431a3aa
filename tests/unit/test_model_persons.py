"""Persons under any schedule: whoever is asked about, an answer that is complete has all of one person."""

import pytest

from tests.model.machine import TIMEOUT, drawn
from tests.model.persons.machine import PersonSchedules

PersonSchedules.TestCase.settings = drawn(60)
TestPersonSchedules = pytest.mark.timeout(TIMEOUT)(PersonSchedules.TestCase)
