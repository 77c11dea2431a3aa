"""Whatever is asked, the API answers as its OpenAPI document says, and never with a failure of its own."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
import schemathesis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig

from tests.serving_kit import BOUND, KEY, AppClient
from tests.unit.test_serving_api import Stand

CHECKS = SchemathesisConfig.from_dict(
    {
        "checks": {
            # which key parts a view has, and on which edges a range lies, OpenAPI cannot say
            "positive_data_acceptance": {"enabled": False},
            "negative_data_rejection": {"expected-statuses": [400, 401, 404, 405, 409, 413, 422]},
        }
    }
)
QUICK = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


# cases are drawn from the document, so it must be there when tests are collected
FOLDER = TemporaryDirectory()
STAND = Stand(Path(FOLDER.name))
WHOLE = schemathesis.openapi.from_asgi("/openapi.json", STAND.client.app, config=CHECKS)
# a stream does not end: tests/unit/test_serving_live.py reads it
DOCUMENT = WHOLE.exclude(path="/v1/views/{view}/live")


@pytest.fixture(scope="module")
def client() -> Iterator[AppClient]:
    with STAND.client as client:
        yield client


@DOCUMENT.parametrize()
@QUICK
def test_every_answer_is_as_the_openapi_document_says(case: "schemathesis.Case[Any]") -> None:
    case.call_and_validate(headers={"X-Admin-Key": KEY})


@QUICK
@given(name=st.binary(max_size=40), query=st.binary(max_size=80))
@example(b"wiki", b"from=\xff\xfe")
@example(b"edits_by_user", b"user=\xed\xa0\x80")
@example(b"edits_by_user", b"user=%00%0a%3a")
def test_no_address_makes_it_fail(client: AppClient, name: bytes, query: bytes) -> None:
    for asked in (
        quote_from_bytes(query),
        quote_from_bytes(query, "%&=+"),
        "user=" + quote_from_bytes(query),
    ):
        answer = client.request("GET", f"/v1/views/{quote_from_bytes(name, '')}?{asked}")
        assert answer.status_code in (200, 307, 400, 404), answer.text


@QUICK
@given(
    st.binary(max_size=100) | st.sampled_from([b"[" * 100_000, b'{"a":' * 5000, b'{"a":1e400}', b"9" * 9999])
)
def test_no_body_makes_it_fail(client: AppClient, body: bytes) -> None:
    path = f"/v1/events/{BOUND.source.name}"
    answer = client.request("POST", path, content=body, headers={"X-Admin-Key": KEY})
    assert answer.status_code in (400, 413, 422), answer.text


@given(st.binary(min_size=1, max_size=40))
@QUICK
def test_no_admin_key_makes_it_fail(client: AppClient, key: bytes) -> None:
    path = f"/v1/events/{BOUND.source.name}"
    answer = client.request("POST", path, content=b"{}", headers={b"X-Admin-Key": key})
    assert answer.status_code == 401, answer.text
