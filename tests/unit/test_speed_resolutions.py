"""Persons by which generations count: kept while needed; others that are published ask for a rebuild."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.errors import StateLost
from core.folders import Folders
from core.handoff import Generation
from core.logs import get_logger
from core.rebuilds import RebuildRequest
from core.resolutions import FILE
from core.topics import LogIdentity
from speed_layer.generations import Wanted, beginning
from speed_layer.opening import Opening
from speed_layer.resolutions import Resolutions
from speed_layer.state import SpeedState
from speed_layer.succession import Succession
from speed_layer.writers import Writer, Writers
from tests.unit.test_speed_generations import META, WANTED


def published(folders: Folders, version: int, text: bytes) -> None:
    path = folders.index(version) / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(text)


def kept(folders: Folders) -> set[str]:
    return {path.name for path in folders.resolution("x").parent.glob("*")}


def test_a_generation_keeps_a_copy_and_those_that_nobody_needs_go(tmp_path: Path) -> None:
    folders = Folders(tmp_path, "s")
    resolutions = Resolutions(folders)
    published(folders, 1, b"one")
    published(folders, 2, b"two")
    assert resolutions.path("") is None and not resolutions.lacks("") and resolutions.lacks("one")
    resolutions.keep(1, "one", {""})
    resolutions.keep(2, "two", {"", "one"})
    assert kept(folders) == {"one.mdb", "two.mdb"} and not resolutions.lacks("one")
    assert folders.resolution("two").read_bytes() == b"two"
    resolutions.keep(2, "two", set())
    assert kept(folders) == {"two.mdb"}
    with pytest.raises(StateLost, match="was removed while a generation began"):
        resolutions.keep(3, "three", {"two"})


def test_a_new_generation_counts_by_the_persons_of_its_boundary() -> None:
    wanted = replace(WANTED, boundary=0, resolution="one", version=3)
    meta, _ = beginning(wanted, "g", [], {0: 0})
    assert meta.resolution == "one" and Generation.from_json(meta.to_json()) == meta
    older = {name: value for name, value in meta.to_json().items() if name != "resolution"}
    assert Generation.from_json(older).resolution == ""
    assert Wanted("s", "abc", 1, 1, LogIdentity("c", "s", "t"), 0).resolution == ""


@dataclass
class FakeState:
    readers: str = "g"
    asked: list[RebuildRequest] = field(default_factory=list)

    def current(self) -> str:
        return self.readers

    def request(self, request: RebuildRequest) -> RebuildRequest:
        self.asked.append(request)
        return request


def succession(published: str, state: FakeState) -> Succession:
    opening = cast(Opening, SimpleNamespace(resolution=lambda: published))
    return Succession(opening, cast(Writers, None), cast(SpeedState, state), {}, get_logger("test"))


def leader(resolution: str) -> Writer:
    found: Any = SimpleNamespace(generation=replace(META, resolution=resolution))
    return cast(Writer, found)


def test_a_publish_of_other_persons_asks_for_a_rebuild() -> None:
    state = FakeState()
    wanted = succession("two", state)
    assert wanted._own_request(leader("two")) is None and not state.asked
    request = wanted._own_request(leader("one"))
    assert request is not None and state.asked == [request] and request.replace == "g"
    assert "other ids are one person" in request.reason


def test_what_readers_do_not_use_or_what_was_given_up_is_not_rebuilt() -> None:
    state = FakeState(readers="another")
    assert succession("two", state)._own_request(leader("one")) is None
    given_up = succession("two", FakeState())
    given_up._given_up = "two"
    assert given_up._own_request(leader("one")) is None
