"""What the OpenAPI document says of questions about the past."""

from typing import Any

__all__ = ["PAST_PARAMETERS"]


def _parameter(name: str, schema: dict[str, Any], text: str, example: str) -> dict[str, Any]:
    examples = {"left out": {"summary": "now"}, "past": {"value": example}}
    return {"name": name, "in": "query", "schema": schema, "description": text, "examples": examples}


_WHOLE = {"type": "integer", "minimum": 0}
PAST_PARAMETERS: list[dict[str, Any]] = [
    _parameter(
        "version", {"type": "integer", "minimum": 1},
        "The batch views of that retained version alone: the answer as of its boundary.", "3",
    ),
    _parameter(
        "as_of_cut", _WHOLE,
        "The answer as of that cut: a retained version and the master dataset's events up to the cut.", "12",
    ),
    _parameter(
        "as_of_offsets",
        {"type": "string", "pattern": "^[0-9]{1,9}:[0-9]{1,18}(,[0-9]{1,9}:[0-9]{1,18})*$"},
        "The answer as of these offsets, partition:offset; a partition that is not named stands at 0. Only "
        "one of version, as_of_cut and as_of_offsets is given.", "0:18213,1:17990",
    ),
]  # fmt: skip
