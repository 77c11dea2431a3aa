import gzip
import hashlib
import re
import zipfile
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from conf.settings import Settings
from core.contracts import Contract
from demo.dataset import DatasetError, Event, clean, edits, multiply, pseudonym, raw_lines, shifted
from local.fetch import FetchError

KEY = b"a key of these tests"
RAW: Event = {
    "time": "2015-09-12T00:46:58.771Z",
    "channel": "#en.wikipedia",
    "comment": "what somebody wrote",
    "isAnonymous": False,
    "namespace": "Talk",
    "page": "Talk:Oswald Tilghman",
    "user": "GELongstreet",
    "delta": 36,
}


def cleaned(**changes: object) -> Event:
    return next(clean([orjson.dumps(RAW | changes)], KEY))


def jar_of(folder: Path, content: bytes = b"a line\nanother\n") -> tuple[Path, str]:
    """A jar with one entry, and the digest of that entry."""
    path, packed = folder / "data.jar", gzip.compress(content, mtime=0)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("edits.json.gz", packed)
    return path, hashlib.sha256(packed).hexdigest()


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """The real edits, where set-up has fetched them."""
    try:
        return edits(Settings(data_dir=tmp_path_factory.mktemp("day")))
    except FetchError as error:
        pytest.skip(str(error))


def test_comments_are_dropped() -> None:
    assert "comment" not in cleaned() and "what somebody wrote" not in str(cleaned())


def test_the_time_becomes_the_event_time() -> None:
    assert cleaned()["event_time"] == RAW["time"] and "time" not in cleaned()


def test_names_are_kept() -> None:
    assert (cleaned()["user"], cleaned()["page"]) == ("GELongstreet", "Talk:Oswald Tilghman")


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:0DB8:0:0:0:0:0:7", "2001:db8::7"])
def test_a_user_that_is_an_address_becomes_a_pseudonym_whatever_the_flag_says(address: str) -> None:
    for flag in (True, False):
        assert cleaned(user=address, isAnonymous=flag)["user"] == pseudonym(address, KEY)


def test_an_anonymous_user_becomes_a_pseudonym_whatever_the_name() -> None:
    assert re.fullmatch("anon-[0-9a-f]{16}", cleaned(user="192.0.2.xxx", isAnonymous=True)["user"])


def test_all_spellings_of_an_address_have_one_pseudonym() -> None:
    assert pseudonym("2001:DB8:0:0:0:0:0:7", KEY) == pseudonym("2001:db8::7", KEY)


def test_another_key_gives_other_pseudonyms() -> None:
    assert pseudonym("192.0.2.7", KEY) != pseudonym("192.0.2.7", b"another key")


@pytest.mark.parametrize(
    "title",
    [
        "User talk:{}",
        "Utilisateur:{}/Brouillon",
        "Category talk:Sockpuppets of {}",
        "Wikipedysta:{}",
    ],
)
@pytest.mark.parametrize("address", ["192.0.2.7", "2001:DB8:0:0:0:0:0:7"])
def test_addresses_in_titles_become_the_pseudonyms_of_their_users(title: str, address: str) -> None:
    assert cleaned(page=title.format(address))["page"] == title.format(pseudonym(address, KEY))


def test_an_address_within_a_name_becomes_a_pseudonym() -> None:
    assert cleaned(user="Former192.0.2.7")["user"] == "Former" + pseudonym("192.0.2.7", KEY)


@pytest.mark.parametrize(
    "title", ["Talk:2015:09:12:Fortnite", "Section 1.2.3.400", "Android 4.4.2", "RFC 3:4:5"]
)
def test_titles_without_an_address_are_kept(title: str) -> None:
    assert cleaned(page=title)["page"] == title


def test_an_id_tells_position_and_content_apart_and_nothing_of_who_it_was() -> None:
    lines = [orjson.dumps(RAW)] * 2
    first, second = clean(lines, KEY)
    assert first["event_id"] != second["event_id"]
    assert cleaned(delta=37)["event_id"] != first["event_id"]
    assert cleaned(user="192.0.2.7", page="User:192.0.2.7")["event_id"] == first["event_id"]
    assert next(clean(lines, b"another key"))["event_id"] == first["event_id"]


def test_the_lines_are_those_of_the_verified_entry(tmp_path: Path) -> None:
    jar, digest = jar_of(tmp_path)
    assert raw_lines(jar, "edits.json.gz", digest) == [b"a line", b"another"]


def test_another_file_under_the_name_is_refused_with_both_digests(tmp_path: Path) -> None:
    jar, digest = jar_of(tmp_path)
    with pytest.raises(DatasetError, match=rf"sha256 {digest}, expected {'0' * 64}"):
        raw_lines(jar, "edits.json.gz", "0" * 64)


def test_a_jar_that_is_absent_or_holds_something_else_says_what_to_do(tmp_path: Path) -> None:
    jar, digest = jar_of(tmp_path)
    for path, entry in (
        (tmp_path / "no.jar", "edits.json.gz"),
        (jar, "other.gz"),
        (Path(__file__), "edits.json.gz"),
    ):
        with pytest.raises(DatasetError, match="make setup"):
            raw_lines(path, entry, digest)


def test_a_day_many_times_over_has_other_days_and_other_ids() -> None:
    events = [cleaned(), cleaned(delta=37)]
    many = list(multiply(events, 3))
    assert many[:2] == events
    assert [event["event_time"][:10] for event in many] == [
        f"2015-09-{day}" for day in (12, 12, 13, 13, 14, 14)
    ]
    assert len({event["event_id"] for event in many}) == 6
    assert many[4] | {"event_id": 0, "event_time": 0} == events[0] | {"event_id": 0, "event_time": 0}


def test_shifting_moves_the_time_and_nothing_else() -> None:
    [moved] = shifted([cleaned()], timedelta(hours=-1, milliseconds=1))
    assert moved == cleaned() | {"event_time": "2015-09-11T23:46:58.772Z"}


def test_the_real_day_is_whole_valid_and_in_order(day: list[Event]) -> None:
    contract = Contract.load(Path(__file__).parents[2] / "conf" / "contracts" / "wikipedia_edits.yaml")
    decode = contract.decoder().decode
    assert len(day) == 39_244 == len({event["event_id"] for event in day})
    assert [event["event_time"] for event in day] == sorted(event["event_time"] for event in day)
    assert {decode(orjson.dumps(event)).reason for event in day} == {None}
    assert set(contract.types) == set(day[0])


def test_the_real_day_holds_no_address(day: list[Event]) -> None:
    address = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}|(?:[0-9A-Fa-f]{1,4}:){7}")
    texts = (value for event in day for name, value in event.items() if name != "event_time")
    assert [text for text in texts if isinstance(text, str) and address.search(text)] == []
    assert sum(event["user"].startswith("anon-") for event in day) == 4_074


def test_the_real_day_has_the_same_ids_in_every_run(day: list[Event]) -> None:
    ids = hashlib.sha256("\n".join(event["event_id"] for event in day).encode()).hexdigest()
    assert ids[:16] == "1cff4de3f849f17e"
