"""What an API process works with, and the one place where its clients are made."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from conf.clients import kafka_options, redis_options
from conf.keys import admin_key
from conf.settings import Settings
from core.application import Application
from core.folders import Folders
from core.identity import identity_of
from core.layout import Layout
from core.logs import Logger, get_logger
from serving_layer.asking import Desk
from serving_layer.changes import Changes, RedisChanges
from serving_layer.event_log import EventLog
from serving_layer.explaining import Explainer
from serving_layer.kafka_log import KafkaEventLog
from serving_layer.live_pairs import LivePairs
from serving_layer.master_events import Limits
from serving_layer.metrics import Metrics
from serving_layer.past_desks import PastDesks
from serving_layer.pipes import Address, Pipe
from serving_layer.series import Series
from serving_layer.snapshots import Watch
from serving_layer.speed_fields import RedisSpeedFields
from serving_layer.speed_state import RedisSpeedStore
from serving_layer.status import Status

__all__ = ["Services", "build"]


@dataclass(frozen=True)
class Services:
    """Everything the routes need, by source. `pipe` and `watches` are what has to be started and stopped."""

    application: Application
    desks: Mapping[str, Desk]
    statuses: Mapping[str, Status]
    log: EventLog
    admin_key: str
    metrics: Metrics = field(default_factory=Metrics)
    clock: Callable[[], float] = time.time
    pipe: Pipe | None = None
    watches: Sequence[Watch] = ()
    changes: Mapping[str, Changes] = field(default_factory=dict)
    ranked_keys: int = 100_000
    pasts: Mapping[str, PastDesks] = field(default_factory=dict)
    explainers: Mapping[str, Explainer] = field(default_factory=dict)

    @cached_property
    def series(self) -> Mapping[str, Series]:
        return {source: Series(desk) for source, desk in self.desks.items()}

    async def start(self) -> None:
        for watch in self.watches:
            watch.start()
        if self.pipe:
            await self.pipe.start()

    async def stop(self) -> None:
        for watch in self.watches:
            watch.stop()
        if self.pipe:
            await self.pipe.stop()
        self.log.close()


def build(settings: Settings, logger: Logger | None = None) -> Services:
    """The services of a real process. Connects to nothing yet.

    Raises SettingsError, DefinitionError or ContractError.
    """
    logger = logger or get_logger("api")
    application = Application.load(settings.application, settings.contracts_dir)
    pipe = Pipe(Address.of(settings.redis_address, redis_options(settings)), logger)
    log = KafkaEventLog(kafka_options(settings), known=_known_logs(settings, application))
    limits = Limits(settings.as_of_records, settings.as_of_copies)
    desks, statuses, changes, pasts, explainers, watches = {}, {}, {}, {}, {}, []
    for name, bound in application.sources.items():
        semantics, folders = bound.semantics(settings.dedupe_window), Folders(settings.data_dir, name)
        watch = Watch(folders, semantics, logger.bind(source=name))
        layout = Layout(settings.namespace, name)
        store = RedisSpeedStore(layout, pipe, semantics, watch.cuts)
        pairs = LivePairs(bound, store, folders) if identity_of(bound.declarations) else None
        desks[name] = Desk(bound, semantics, watch, store, pairs)
        statuses[name] = Status(desks[name], folders, log, time.time)
        changes[name] = RedisChanges(layout, pipe, semantics)
        pasts[name] = PastDesks(bound, semantics, folders, limits, settings.batch_interval, time.time)
        fields, window = RedisSpeedFields(layout, pipe, semantics), settings.dedupe_window
        explainers[name] = Explainer(desks[name], pasts[name], fields, window)
        watches.append(watch)
    return Services(
        application, desks, statuses, log, admin_key(settings), pipe=pipe, watches=tuple(watches),
        changes=changes, pasts=pasts, explainers=explainers, ranked_keys=settings.ranked_keys,
    )  # fmt: skip


def _known_logs(settings: Settings, application: Application) -> Callable[[str], tuple[str, str] | None]:
    """Which log the other processes read under a topic's name."""
    losses = {
        bound.source.topic: Folders(settings.data_dir, name).losses()
        for name, bound in application.sources.items()
    }
    return lambda topic: losses[topic].known() if topic in losses else None
