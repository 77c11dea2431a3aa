"""Notes: what the tasks of a micro-batch counted and how long they took, carried along with the rows."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["STATUS", "Notes"]

STATUS = -1  # in place of a view's number: the row is a note


@dataclass
class Notes:
    """Numbers by name; adding adds them up."""

    numbers: dict[str, float] = field(default_factory=dict)

    def add(self, **numbers: float) -> None:
        for name, number in numbers.items():
            self.numbers[name] = self.numbers.get(name, 0) + number

    def text(self) -> str:
        return json.dumps(self.numbers)

    def add_text(self, text: str) -> None:
        self.add(**json.loads(text))

    @classmethod
    def total(cls, texts: Iterable[str]) -> "Notes":
        total = cls()
        for text in texts:
            total.add_text(text)
        return total

    def count(self, name: str) -> int:
        return int(self.numbers.get(name, 0))
