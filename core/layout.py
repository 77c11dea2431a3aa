"""Where the speed layer's state lies in Redis. Keys of one script share a hash tag: source, or shard.

{ns}:{source}:current                the generation that readers use
{ns}:{source}:writing                the generation that the job writes, and whose end its cuts stand at
{ns}:{source}:following              the generation that is rebuilt beside it, if one is
{ns}:{source}:rebuild                RebuildRequest, JSON, until it is fulfilled
{ns}:{source}:{gen}:meta             Generation, JSON
{ns}:{source}:{gen}:writer           the token of the job that may write the generation
{ns}:{source}:{gen}:intent           Intent, JSON
{ns}:{source}:{gen}:progress         Progress, JSON
{ns}:{source}:{gen}:lease            Lease, JSON, expires
{ns}:{source}:{gen}:containers:{view}
                                     sorted set: container -> the newest segment that wrote a field in it
{ns}:{gen.shard}:stamp               hash: batch (newest committed), floor, token (the writer's)
{ns}:{gen.shard}:f:{view}:{container}:{key}
                                     hash: "{segment}:{bucket}" -> batch id (8 bytes) + packed partial
{ns}:{gen.shard}:t:{segment}         set: the field hashes touched in a segment
{ns}:{gen.shard}:m:{block}           hash: digest of event id -> position of the copy that counts
{ns}:{gen.shard}:e:{block}           hash, where events are corrected: digest of event id + "=" -> the event,
                                     digest + ">" -> the corrections that name it
{ns}:{gen.shard}:v                   hash: user -> the visit before and after the newest micro-batch with one
"""

import hashlib
import struct
from dataclasses import dataclass

from core.buckets import DAY, HOUR, floor

VISITS = "_visits"  # stands where a view's name does, which never begins like this
_BATCH = struct.Struct("<q")


def container_width(width: int) -> int:
    """Seconds of event time in one field hash, for a view whose bucket is `width` seconds."""
    return HOUR if width < HOUR else DAY if width < DAY else 32 * DAY


def containers(width: int, start: int, end: int) -> range:
    """The starts of the field hashes that hold [start, end)."""
    step = container_width(width)
    return range(floor(start, step), end, step)


@dataclass(frozen=True)
class Layout:
    """Names in Redis for one source."""

    namespace: str
    source: str

    def current(self) -> str:
        return self._name("current")

    def writing(self) -> str:
        return self._name("writing")

    def following(self) -> str:
        return self._name("following")

    def rebuild(self) -> str:
        return self._name("rebuild")

    def of(self, generation: str, what: str) -> str:
        """`what` is meta, writer, intent, progress or lease."""
        return self._name(f"{generation}:{what}")

    def containers(self, generation: str, view: str) -> str:
        return self.of(generation, f"containers:{view}")

    def shard(self, generation: str, shard: int) -> str:
        return f"{self.namespace}:{{{generation}.{shard}}}"

    def stamp(self, generation: str, shard: int) -> str:
        return f"{self.shard(generation, shard)}:stamp"

    def fields(self, generation: str, shard: int, view: str, container: int, key: str) -> str:
        return f"{self.shard(generation, shard)}:f:{view}:{container}:{key}"

    def touched(self, generation: str, shard: int, segment: int) -> str:
        return f"{self.shard(generation, shard)}:t:{segment}"

    def marks(self, generation: str, shard: int, block: int) -> str:
        """Marks of `dedupe_window` neighbouring segments: a look-up reads two, and one is dropped whole."""
        return f"{self.shard(generation, shard)}:m:{block}"

    def events(self, generation: str, shard: int, block: int) -> str:
        """Events that may be corrected, and their corrections, in blocks as marks are."""
        return f"{self.shard(generation, shard)}:e:{block}"

    def visits(self, generation: str, shard: int) -> str:
        return f"{self.shard(generation, shard)}:v"

    def _name(self, what: str) -> str:
        return f"{self.namespace}:{{{self.source}}}:{what}"


def field_name(segment: int, bucket: int) -> bytes:
    return b"%d:%d" % (segment, bucket)


def parse_field(name: bytes) -> tuple[int, int]:
    """Segment and bucket of a field."""
    segment, _, bucket = name.partition(b":")
    return int(segment), int(bucket)


def seal(batch: int, packed: bytes) -> bytes:
    """A field's value: the micro-batch that wrote it, and the packed partial."""
    return _BATCH.pack(batch) + packed


def unseal(value: bytes) -> tuple[int, bytes]:
    batch: int = _BATCH.unpack_from(value)[0]
    return batch, value[_BATCH.size :]


def event_digest(event_id: str) -> bytes:
    """Sixteen bytes that stand for an event id in a dedupe mark."""
    return hashlib.blake2b(event_id.encode(), digest_size=16).digest()


def mark_shard(digest: bytes, shards: int) -> int:
    return int.from_bytes(digest[:4], "little") % shards
