"""A request to build the speed state anew, which lies in Redis until the speed job has fulfilled it."""

import json
from dataclasses import asdict, dataclass

__all__ = ["RebuildRequest"]


@dataclass(frozen=True)
class RebuildRequest:
    """Generation `replace` is to be followed by one built anew from the boundary, and why.

    It is void once readers use another generation, so that it is fulfilled once, whatever crashes when.
    """

    replace: str
    reason: str

    def to_text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str | bytes) -> "RebuildRequest":
        return cls(**json.loads(text))
