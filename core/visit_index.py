"""Where a version's index has users' newest visits: files below `core.layout.VISITS`, by hash of the user."""

from collections.abc import Callable, Iterable

import lmdb

from core.index_values import unframe
from core.keys import index_key, index_partition
from core.visits import Visit, Visits, user_key

__all__ = ["newest_visits"]


def newest_visits(
    visits: Visits, users: Iterable[str], count: int, file: Callable[[int], lmdb.Transaction]
) -> dict[str, Visit]:
    """The newest visit of each of these users, as texts, who has one; `file` opens one of `count` files."""
    found = dict[str, Visit]()
    for user in users:
        key = user_key(user)
        value = file(index_partition(key, count)).get(index_key(key, 0, 0))
        at = None if value is None else unframe(value, key)
        if value is not None and at is not None:
            found[user] = visits.unpack(value, at)
    return found
