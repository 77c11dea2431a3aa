"""Which events a correction takes back: a pure function over the chains of a partition of the log.

The chain of an id is the event that has it, and the corrections that name it, by their offsets. An event
stops counting at the first correction behind it that names it, or that names the event which it itself had
named. That is read in two chains, so a layer needs to look at few of them, and in any order: what lies at or
behind an offset changes nothing of what happened before it.
"""

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

__all__ = [
    "CHAINS_FOLDER", "NOTHING", "Chain", "Link", "Named", "asked", "chain_digest", "chain_file", "chain_part",
    "is_matched", "stopped_at", "taken_back",
]  # fmt: skip

CHAINS_FOLDER = "_events"  # beside those of views, none of which is named like it
DIGEST = 16
_LINK = struct.Struct("<QB")
_NAMED = struct.Struct(f"<Q{DIGEST}s")
_LENGTH = struct.Struct("<I")
_RETRACTS, _CORRECTS = 1, 2


class Link(NamedTuple):
    """An event: where it lies, its chain, the chain that it corrects, and its packed values.

    One that `retracts` counts nowhere, and its values may be empty.
    """

    offset: int
    digest: bytes
    target: bytes | None
    retracts: bool
    values: bytes

    @classmethod
    def of(
        cls, partition: int, offset: int, event_id: str, target: str | None, retracts: bool, values: bytes
    ) -> "Link":
        """Of an event at a place in the log, by its id and the id that it names."""
        named = None if target is None else chain_digest(partition, target)
        return cls(offset, chain_digest(partition, event_id), named, retracts, values)

    def pack(self) -> bytes:
        """All but its own digest, which is the name under which it is kept."""
        flags = self.retracts * _RETRACTS | (self.target is not None) * _CORRECTS
        return _LINK.pack(self.offset, flags) + (self.target or b"") + self.values

    @classmethod
    def unpack(cls, digest: bytes, packed: bytes) -> "Link":
        offset, flags = _LINK.unpack_from(packed)
        at = _LINK.size + (DIGEST if flags & _CORRECTS else 0)
        target = packed[_LINK.size : at] if flags & _CORRECTS else None
        return cls(offset, digest, target, bool(flags & _RETRACTS), packed[at:])


class Named(NamedTuple):
    """A correction that names a chain: where it lies, and its own chain."""

    offset: int
    digest: bytes

    def pack(self) -> bytes:
        return _NAMED.pack(*self)

    @classmethod
    def unpack_all(cls, packed: bytes) -> Iterator["Named"]:
        return (cls(*entry) for entry in _NAMED.iter_unpack(packed))


@dataclass(frozen=True)
class Chain:
    """The event of an id, None where it is not known, and the corrections that name it, in order."""

    link: Link | None = None
    named: tuple[Named, ...] = ()

    @classmethod
    def of(cls, links: Iterable[Link], named: Iterable[Named]) -> "Chain":
        """Of copies the first is the event; the same correction may be given more than once."""
        return cls(min(links, key=lambda link: link.offset, default=None), tuple(sorted(set(named))))

    def joined(self, other: "Chain") -> "Chain":
        """What two places know of one chain."""
        links = (chain.link for chain in (self, other) if chain.link is not None)
        return Chain.of(links, (*self.named, *other.named))

    def named_within(self, after: int, before: int) -> bool:
        """Whether a correction between two offsets names it."""
        return any(after < one.offset < before for one in self.named)

    def pack(self) -> bytes:
        link = self.link.pack() if self.link else b""
        return _LENGTH.pack(len(link)) + link + b"".join(one.pack() for one in self.named)

    @classmethod
    def unpack(cls, digest: bytes, packed: bytes) -> "Chain":
        (length,) = _LENGTH.unpack_from(packed)
        end = _LENGTH.size + length
        link = Link.unpack(digest, packed[_LENGTH.size : end]) if length else None
        return cls(link, tuple(Named.unpack_all(packed[end:])))


NOTHING = Chain()
Look = Callable[[bytes], Chain]


def chain_digest(partition: int, event_id: str) -> bytes:
    """What stands for an event id: a correction lies on the partition of what it corrects."""
    return hashlib.blake2b(b"%d:" % partition + event_id.encode(), digest_size=DIGEST).digest()


def chain_part(digest: bytes, files: int) -> int:
    """Which of the files of a version's chains holds one."""
    return int.from_bytes(digest[:4], "big") % files


def chain_file(number: int) -> str:
    """The name of that file, in the folder `CHAINS_FOLDER` of the version's index."""
    return f"{number}.mdb"


def is_matched(offset: int, chain: Chain) -> bool:
    """Whether a correction at `offset` finds what it names, or another one that had named the same."""
    return _link_before(offset, chain) is not None or _last_before(offset, chain) is not None


def asked(offset: int, chain: Chain) -> set[bytes]:
    """The other chains that decide what a correction at `offset`, which names `chain`, takes back."""
    last, link = _last_before(offset, chain), _link_before(offset, chain)
    found = {last.digest} if last else set()
    return found | {link.target} if link and link.target else found


def taken_back(offset: int, target: bytes, look: Look) -> list[Link]:
    """The events that stop counting at the correction at `offset`, which names `target`: two at most."""
    chain = look(target)
    last, link = _last_before(offset, chain), _link_before(offset, chain)
    found = []
    if link and not chain.named_within(link.offset, offset) and not _stopped(link, offset, look):
        found.append(link)
    corrector = look(last.digest).link if last else None
    if corrector and corrector not in found and not _stopped(corrector, offset, look):
        found.append(corrector)
    return [one for one in found if not one.retracts]


def stopped_at(link: Link, look: Look) -> int | None:
    """Where an event stops counting: the first correction behind it that names it, or what it had named."""
    chains = [link.digest, *([link.target] if link.target else [])]
    later = (one.offset for digest in chains for one in look(digest).named if one.offset > link.offset)
    return min(later, default=None)


def _stopped(link: Link, before: int, look: Look) -> bool:
    """Whether an event had stopped counting before an offset."""
    chains = [link.digest, *([link.target] if link.target else [])]
    return any(look(digest).named_within(link.offset, before) for digest in chains)


def _last_before(offset: int, chain: Chain) -> Named | None:
    return next((one for one in reversed(chain.named) if one.offset < offset), None)


def _link_before(offset: int, chain: Chain) -> Link | None:
    return chain.link if chain.link and chain.link.offset < offset else None
