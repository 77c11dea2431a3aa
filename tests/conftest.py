"""Fixtures of every test. Nothing here starts a process."""

import os
from pathlib import Path

import hypothesis
import pytest

from conf.settings import PREFIX, Settings

# machines are noisy: no test fails for the time that an example took
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> None:
    """A developer's LAMBDA_ variables must not move a test."""
    for key in [key for key in os.environ if key.startswith(PREFIX)]:
        del os.environ[key]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a data folder of the test's own."""
    return Settings(data_dir=tmp_path / "data")
