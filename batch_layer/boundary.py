"""The boundary of a run: the newest cut that the master dataset covers, made here if nobody leads."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from redis import Redis
from redis.exceptions import RedisError

from core.cuts import Cut, CutRegistry, Offsets, offsets_from, reaches
from core.errors import EntryTaken
from core.handoff import choose_boundary
from core.layout import Layout
from core.logs import Logger

__all__ = ["Leader", "NoRedis", "RedisSpeed", "Speed", "choose"]


@dataclass(frozen=True)
class Leader:
    """What the speed layer says of itself: whether its job lives, and how far it had meant to write."""

    alive: bool
    intended: Offsets


class Speed(Protocol):
    """Where a batch run asks for the leading speed job."""

    def leader(self) -> Leader: ...


class NoRedis:
    """For a platform without a speed layer."""

    def leader(self) -> Leader:
        return Leader(alive=False, intended={})


class RedisSpeed:
    """Asks the state in Redis. An unreachable one has no leader: a leader respects the cut made then."""

    def __init__(self, client: Redis, layout: Layout, log: Logger) -> None:
        self._redis, self._layout, self._log = client, layout, log

    def leader(self) -> Leader:
        try:
            return self._leader()
        except RedisError as error:
            self._log.warning(
                "redis_unreachable", reason=str(error), consequence="the batch job makes the cut"
            )
            return Leader(alive=False, intended={})

    def _leader(self) -> Leader:
        writing = self._redis.get(self._layout.writing())
        if not isinstance(writing, bytes):
            return Leader(alive=False, intended={})
        generation = writing.decode()
        alive = bool(self._redis.exists(self._layout.of(generation, "lease")))
        intent = self._redis.get(self._layout.of(generation, "intent"))
        end = json.loads(intent)["end"] if isinstance(intent, bytes) else {}
        return Leader(alive, offsets_from(end))


def choose(
    cuts: CutRegistry,
    archived: Offsets,
    at_least: int,
    speed: Speed,
    log: Logger,
    redrain: Callable[[], Offsets],
) -> Cut:
    """The cut up to which this run computes.

    Where no speed job leads, a new cut is made at the end of the archive, at or beyond all that the last
    leader had intended; `redrain` archives more if it does not reach that. Raises BoundaryError if the
    boundary would fall.
    """
    leader = speed.leader()
    if not leader.alive:
        if not reaches(archived, leader.intended):
            archived = redrain()
        _cut(cuts, archived, leader, log)
    return choose_boundary(cuts.all(), archived, at_least)


def _cut(cuts: CutRegistry, archived: Offsets, leader: Leader, log: Logger) -> None:
    latest = cuts.latest()
    grown = any(offset > latest.offset(partition) for partition, offset in archived.items())
    if not grown or not reaches(archived, latest.offsets):
        return
    if not reaches(archived, leader.intended):
        log.warning("cut_not_made", archived=dict(archived), intended=dict(leader.intended))
        return
    try:
        made = cuts.make(archived, "batch")
    except EntryTaken:
        log.info("cut_made_by_another")
        return
    log.info("cut_made", cut=made.number, offsets=dict(made.offsets))
