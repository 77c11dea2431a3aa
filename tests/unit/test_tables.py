"""Tables to look up in: CSV files, read whole, every fault named with its line."""

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from core.errors import DefinitionError, UnknownName
from core.keys import key_text
from core.tables import MOST_BYTES, Table, TableRefused, read_bytes, read_table

CSV = 'code,name,rate,open,since\nIT,"Italia, tutta",0.22,true,1961-03-17T00:00:00Z\nJP,日本,NA,,NA\n'
GIVES = {"name": "string", "rate": "decimal(4,2)", "open": "boolean", "since": "timestamp"}
PATH = Path("table.csv")


def table(text: str = CSV, key: dict[str, str] | None = None, gives: dict[str, str] = GIVES) -> Table:
    return read_table(PATH, text.encode(), key or {"code": "string"}, gives, "NA")


def test_a_row_is_found_by_the_text_of_its_key() -> None:
    found = table()
    assert found.row(key_text(["IT"]))[:3] == ("Italia, tutta", Decimal("0.22"), True)
    assert found.row(key_text(["JP"])) == ("日本", None, None, None)
    assert found.row(key_text(["FR"])) == found.row(key_text([None])) == (None, None, None, None)


def test_many_keys_give_columns_in_their_order() -> None:
    keys = pa.array([key_text([code]) for code in ("JP", "FR", "IT", "IT")])
    name, rate, *_, since = table().take(keys)
    assert name.to_pylist() == ["日本", None, "Italia, tutta", "Italia, tutta"]
    assert rate.type == pa.decimal128(4, 2) and since.type == pa.timestamp("us", tz="UTC")
    assert [column.to_pylist() for column in table("code,name\n", gives={"name": "string"}).take(keys)] == [
        [None] * 4
    ]


def test_numbers_and_booleans_in_a_key_are_one_whatever_their_spelling() -> None:
    found = table("n,on,x\n007,TRUE,1\n8,false,2\n", {"n": "long", "on": "boolean"}, {"x": "long"})
    assert found.row(key_text(["7", "true"])) == (1,) and found.row(key_text(["8", "false"])) == (2,)


def test_a_line_may_hold_a_line_break_and_a_file_a_byte_order_mark() -> None:
    text = '\ufeffcode,name\r\nIT,"two\nlines"\r\n'
    assert table(text, gives={"name": "string"}).row(key_text(["IT"])) == ("two\nlines",)


def test_the_same_file_read_otherwise_is_another_table() -> None:
    by_name = table("a,b\nx,y\n", {"a": "string"}, {"b": "string"})
    assert by_name == table("a,b\nx,y\n", {"a": "string"}, {"b": "string"})
    assert by_name != table("a,b\nx,y\n", {"b": "string"}, {"a": "string"})
    assert by_name != table("a,b\nx,z\n", {"a": "string"}, {"b": "string"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("code,rate\nIT,0.222\n", "line 2: rate is '0.222'; allowed: a number from -99.99 to 99.99"),
        ("code,rate\nIT,much\n", "line 2: rate is 'much'"),
        ("code,rate\nIT,1\nIT,2\n", "line 3 has the key of a line before: code 'IT'"),
        ("code,rate\n,1\n", "line 2 has a key with an empty part"),
        ("code,rate\nNA,1\n", "line 2 has a key with an empty part"),
        ("code,rate\nIT\n", "line 2 has 1 cells, not 2"),
        ('code,rate\n"IT,1\n', "no CSV in UTF-8"),
    ],
)
def test_a_fault_of_a_file_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(TableRefused) as caught:
        table(text, gives={"rate": "decimal(4,2)"})
    assert message in str(caught.value) and caught.value.path == PATH


def test_a_column_that_the_file_does_not_have_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="'rates'; did you mean 'rate'"):
        table(gives={"rates": "long"})
    with pytest.raises(UnknownName, match="'code'"):
        table("code,code,rate\nIT,IT,1\n", gives={"rate": "long"})


@pytest.mark.parametrize("kind", ["int", "decimal", "decimal(3)"])
def test_a_type_that_there_is_not_is_named(kind: str) -> None:
    with pytest.raises(DefinitionError, match=r"column 'rate' is '.*'; allowed: string, long, double"):
        table(gives={"rate": kind})


def test_text_that_is_no_utf_8_is_refused() -> None:
    with pytest.raises(TableRefused, match="no CSV in UTF-8"):
        read_table(PATH, b"code,name\nIT,\xff\n", {"code": "string"}, {"name": "string"}, "")


def test_a_file_that_is_absent_or_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableRefused, match="cannot be read"):
        read_bytes(tmp_path / "no.csv")
    with (tmp_path / "large.csv").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(TableRefused, match=rf"{MOST_BYTES} at most"):
        read_bytes(tmp_path / "large.csv")
