"""Keys of one index file, in order: from one key to the next in one step, however many tiles it has."""

from collections.abc import Iterator

import lmdb

from core.index_values import framed_key, is_framed
from core.keys import INDEX_PREFIX, index_name
from serving_layer.ports import Listed

__all__ = ["BEHIND", "keys_within"]

BEHIND = b"\xff" * 13  # longer and larger than what follows a key's text: behind every tile of it


def keys_within(file: lmdb.Transaction, prefix: str, after: bytes | None) -> Iterator[Listed]:
    """The keys whose text starts with `prefix`, behind the key that the index orders by `after`.

    Of a prefix beyond what the index keeps of a long key, keys that it holds a digest of cannot be told from
    others: they are among what is found, without a name.
    """
    raw, head = prefix.encode(), prefix.encode()[:INDEX_PREFIX]
    start = head if after is None else after + BEHIND
    with file.cursor() as cursor:
        there = cursor.set_range(start)
        while there:
            name = index_name(bytes(cursor.key()))
            if not name.startswith(head):
                return
            value = cursor.value()
            text = framed_key(value) if is_framed(value) else name
            if text is None or text.startswith(raw):
                yield name, None if text is None else text.decode()
            there = cursor.set_range(name + BEHIND)
