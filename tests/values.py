"""Decoded values of an event of Wikipedia, by column."""

from collections.abc import Mapping
from typing import Any

import orjson

from tests.serving_kit import BOUND


def decoded(event: Mapping[str, Any]) -> dict[str, Any]:
    found = BOUND.contract.decoder().decode(orjson.dumps(dict(event)))
    assert found.reason is None, found.reason
    return dict(zip(BOUND.contract.types, found.values, strict=True))
