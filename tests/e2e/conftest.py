"""The demo, played once for the tests of a module; and the table of the fault suite."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from conf.settings import Settings
from demo.__main__ import demo_settings, played
from demo.wikipedia import WIKIPEDIA
from local.tools import free_ports

TABLE = pytest.StashKey[str]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Shows the table of faults, if the suite ran."""
    if TABLE in config.stash:
        terminalreporter.section("faults")
        terminalreporter.write(config.stash[TABLE])


@dataclass(frozen=True)
class Played:
    """A platform after the demo; `right` if all answers that it judged were."""

    settings: Settings
    right: bool


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    kafka, controller, redis, api = free_ports(4)
    settings = demo_settings(
        Settings(
            data_dir=tmp_path_factory.mktemp("e2e"),
            kafka_port=kafka,
            kafka_controller_port=controller,
            redis_port=redis,
            api_port=api,
        ),
        WIKIPEDIA,
    )
    with played(settings, WIKIPEDIA) as right:
        yield Played(settings, right)
