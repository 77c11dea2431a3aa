"""What counts persons, where newer pairs of ids are not in what was counted."""

import pytest

from core import Count
from core.visits import visits
from serving_layer.ports import PersonNote
from serving_layer.widening import outdated
from tests.unit.test_identity import of_visitors

VIEW = of_visitors(measures={"n": Count(), "visits": visits()}).view("v")


@pytest.mark.parametrize(
    ("note", "names"),
    [
        (None, ()),
        (PersonNote(3, pairs=0, undone=0, down=0, up=0), ()),
        (PersonNote(3, pairs=2, undone=0, down=1, up=0), ("visits",)),
        (PersonNote(3, pairs=0, undone=1, down=0, up=1), ("visits",)),
        (PersonNote(3, pairs=0, undone=0, down=4, up=0), ("visits",)),  # the speed layer's are older
    ],
)
def test_measures_without_bounds_are_outdated_once_a_pair_came(
    note: PersonNote | None, names: tuple[str, ...]
) -> None:
    assert outdated(VIEW, note) == names
