"""Where a version's index has the chains of events: files below `CHAINS_FOLDER`, by digest."""

from collections.abc import Iterable, Sequence

import lmdb

from core.chains import Chain, chain_part

__all__ = ["chains_in"]


def chains_in(files: Sequence[lmdb.Transaction], digests: Iterable[bytes]) -> dict[bytes, Chain]:
    """Those of these chains that are there; `files` are all of a version's, in order."""
    found = dict[bytes, Chain]()
    for digest in digests:
        packed = files[chain_part(digest, len(files))].get(digest)
        if packed is not None:
            found[digest] = Chain.unpack(digest, bytes(packed))
    return found
