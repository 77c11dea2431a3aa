"""Logs of sources that declare something, made by hand: versions at a cut, the past, and naive recomputes."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from bench.state import Buckets, manifest_of
from core import Corrections, Count, Identity, Lookup, Max, Source, Sum, Uniques, View, Visits
from core.application import BoundSource
from core.buckets import floor
from core.chains import NOTHING, Chain, Link, Named, chain_digest
from core.contracts import Contract
from core.corrections import EventCodec
from core.cuts import Cut, Offsets
from core.declarations import Declaration
from core.groups import resolution, standing, word
from core.measures import Partial
from core.repeatable import repeatable
from core.resolutions import Resolution, Resolved
from core.visits import Visit, bounces, visit_length, visits
from serving_layer.answers import compose
from serving_layer.asking import Desk
from serving_layer.events_behind import Listing
from serving_layer.explaining import Explainer
from serving_layer.master_events import Limits
from serving_layer.past import Past
from serving_layer.past_desks import Moment, PastDesks
from serving_layer.past_store import Between
from serving_layer.ports import Snapshot
from serving_layer.questions import Question
from tests.corrections import Sent, counting
from tests.master_kit import Master
from tests.serving_kit import FakeFields, FakeIndex, FakeSpeed, FakeVersions
from tests.visits import told, visits_of

__all__ = ["CORRECTED", "GAP", "MINUTE", "PEOPLE", "SITE", "Made", "event"]

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: events
version: "1.0.0"
schema:
  - name: events
    properties:
      - {name: event_id, logicalType: string, required: true}
      - {name: event_time, logicalType: timestamp, required: true}
      - {name: user, logicalType: string, classification: personal}
      - {name: page, logicalType: string}
      - {name: size, logicalType: integer}
      - {name: same_as, logicalType: string}
      - {name: undone, logicalType: boolean}
      - {name: corrects, logicalType: string}
      - {name: action, logicalType: string}
"""
REGIONS = {"p": "north"}  # of pages
MINUTE = 60_000
GAP = 30 * MINUTE
Event = dict[str, Any]
Placed = tuple[tuple[int, int, int], Event]  # segment, partition and offset
Known = Mapping[str, Any]  # an event, with what is derived of it


def event(number: int, user: str | None = "u", minute: int = 0, page: str | None = "p", **more: Any) -> Event:
    return {
        "event_id": f"e{number}", "event_time": minute * MINUTE, "user": user, "page": page,
        "size": number + 1, "same_as": None, "undone": None, "corrects": None, "action": None, **more,
    }  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A bound source; `count` says which events count and with which values, once all of them are known.

    `inputs` are what an event gives to each measure, by the view's name.
    """

    bound: BoundSource
    count: Callable[[Sequence[Placed]], Iterable[Known]]
    inputs: Mapping[str, Callable[[Known], Mapping[str, Any]]]


def _bound(name: str, views: Callable[[Source], list[View]], *declares: Declaration) -> BoundSource:
    source = Source(name, contract="events", declares=declares)
    return BoundSource.of(source, Contract.load(CONTRACT), {view.name: view for view in views(source)})


def _site_views(source: Source) -> list[View]:
    measures = {"n": Count(), "visits": visits(), "bounces": bounces(), "long": visit_length()}
    return [
        View("by_page", source, key=("page",), measures=measures),
        View(
            "by_entry", source, key={"entry": "visit_page"}, measures={**measures, "users": Uniques("user")}
        ),
        View("starts", source, where="visit_role = 'start'", bucket="1 day", measures={"n": Count()}),
        View("plain", source, key=("page",), measures={"n": Count()}),
    ]


def _site_count(placed: Sequence[Placed]) -> Iterable[Known]:
    roles = told([(p, o, one) for (_, p, o), one in placed], GAP, 1000)
    for _, one in placed:
        role, step, first = roles.get(one["event_id"], (None, None, {"page": None}))
        yield {**one, "visit_role": role, "visit_step": step, "visit_page": first["page"]}


def _visit_inputs(known: Known) -> Mapping[str, Any]:
    role, start = known["visit_role"], int(known["visit_role"] == "start")
    return {
        "n": 1, "visits": start, "bounces": {"start": 1, "second": -1}.get(role or "", 0),
        "long": {"numerator": known["visit_step"], "denominator": start}, "users": known["user"],
    }  # fmt: skip


def _order_views(source: Source) -> list[View]:
    measures = {"n": Count(), "sum": Sum("size"), "users": Uniques("user"), "largest": Max("size")}
    return [
        View("by_page", source, key=("page",), measures=measures),
        View("small", source, where="size < 8", bucket="1 day", measures={"n": Count(), "sum": Sum("size")}),
        View("by_region", source, key=("region",), measures={"n": Count(), "largest": Max("size")}),
    ]


def _order_count(placed: Sequence[Placed]) -> Iterable[Known]:
    parts: dict[int, list[Placed]] = defaultdict(list)
    for one in sorted(placed, key=lambda one: one[0][1:]):
        parts[one[0][1]].append(one)
    for part in parts.values():
        sent = [Sent(e["event_id"], e["corrects"], e["action"] == "cancel") for _, e in part]
        yield from ({**part[at][1], "region": REGIONS.get(part[at][1]["page"])} for at in counting(sent))


def _people_views(source: Source) -> list[View]:
    measures = {"n": Count(), "sum": Sum("size"), "pages": Uniques("page")}
    return [
        View("by_person", source, key=("person",), measures=measures),
        View("by_page", source, key=("page",), measures={"n": Count(), "people": Uniques("person")}),
        View("by_user", source, key=("user",), measures={"n": Count()}),
    ]


def words_of(placed: Sequence[Placed]) -> list[tuple[str, str, str]]:
    return [
        (one["user"], one["same_as"], word(*place, bool(one["undone"])))
        for place, one in placed
        if one["user"] is not None and one["same_as"] is not None
    ]


def _people_count(placed: Sequence[Placed]) -> Iterable[Known]:
    persons = resolution(standing(words_of(placed)))
    for _, one in placed:
        yield {**one, "person": persons.get(one["user"], one["user"])}


def _sizes(known: Known) -> Mapping[str, Any]:
    sizes = {"n": 1, "sum": known["size"], "largest": known["size"], "users": known["user"]}
    return {**sizes, "pages": known["page"], "people": known.get("person")}


def _regions() -> Lookup:
    path = Path(mkdtemp()) / "regions.csv"
    path.write_text("\n".join(["page,region", *map(",".join, REGIONS.items())]) + "\n")
    return Lookup(path, key={"page": "page"}, gives={"region": "string"})


_SITE = _bound("site", _site_views, Visits(carry=["page"]))
_CORRECTED = _bound("corrected", _order_views, Corrections("corrects", "action = 'cancel'"), _regions())
_PEOPLE = _bound("people", _people_views, Identity("user", "same_as", "undone"))
SITE = Kind(_SITE, _site_count, dict.fromkeys(_SITE.views, _visit_inputs))
CORRECTED = Kind(_CORRECTED, _order_count, dict.fromkeys(_CORRECTED.views, _sizes))
PEOPLE = Kind(_PEOPLE, _people_count, dict.fromkeys(("by_person", "by_page", "by_user"), _sizes))
_WHERE: Mapping[str | None, Callable[[Known], bool]] = {
    None: lambda _: True,
    "visit_role = 'start'": lambda known: known["visit_role"] == "start",
    "size < 8": lambda known: known["size"] < 8,
}


@dataclass
class MadeIndex(FakeIndex):
    """What a publish at a cut would have indexed, by the naive recompute."""

    kind: Kind
    placed: Sequence[Placed]
    raw: Mapping[tuple[int, int], bytes]
    buckets: Mapping[str, Buckets] = field(init=False)

    def __post_init__(self) -> None:
        known = list(self.kind.count(self.placed))
        self.buckets = {name: _buckets(self.kind, name, known) for name in self.kind.inputs}

    @property
    def persons(self) -> Resolution:
        return Resolved(resolution(standing(words_of(self.placed))))

    def visits(self, declared: Visits, users: Iterable[str]) -> Mapping[str, Visit]:
        last: dict[str, Visit] = {}
        for visit in visits_of(((p, o, one) for (_, p, o), one in self.placed), GAP):
            times = [one["event_time"] * 1000 for _, _, one in visit]
            newest = Visit(times[0], times[-1], len(visit) == 1, (visit[0][2]["page"],))
            user = visit[0][2]["user"]
            last[user] = max(last.get(user, newest), newest, key=lambda one: one.last)
        return {user: last[user] for user in users if user in last}

    def chains(self, digests: Iterable[bytes]) -> Mapping[bytes, Chain]:
        found, decode = dict[bytes, Chain](), self.kind.bound.contract.decoder().decode
        used, names = self.kind.bound.used, list(self.kind.bound.contract.types)
        for (_, partition, offset), one in self.placed:
            own, target = chain_digest(partition, one["event_id"]), one["corrects"]
            named = None if target is None else chain_digest(partition, target)
            values = dict(zip(names, decode(self.raw[partition, offset]).values, strict=True))
            packed = EventCodec(used).packer()(tuple(values[name] for name in used))
            retracts = target is not None and one["action"] == "cancel"
            link = Link(offset, own, named, retracts, b"" if retracts else packed)
            found[own] = found.get(own, NOTHING).joined(Chain(link))
            if named is not None:
                found[named] = found.get(named, NOTHING).joined(Chain(None, (Named(offset, own),)))
        return {digest: found[digest] for digest in digests if digest in found}


def _buckets(kind: Kind, name: str, known: Iterable[Known]) -> Buckets:
    view, found = kind.bound.views[name], defaultdict[tuple[str, int], list[Partial]](list)
    for one in known:
        if _WHERE[kind.bound.definitions[name].where](one):
            found[_place(kind, name, one)].append(view.lift(kind.inputs[name](one)))
    return {place: view.merge_all(partials) for place, partials in found.items()}


def _place(kind: Kind, name: str, known: Known) -> tuple[str, int]:
    view, definition = kind.bound.views[name], kind.bound.definitions[name].key
    texts = definition if isinstance(definition, Mapping) else {part: part for part in definition}
    key = view.key_of({part: known[text] for part, text in texts.items()})
    return key, floor(known["event_time"] // 1000, view.width)


class Made:
    """A master dataset of one source, and a version at one of its cuts."""

    def __init__(self, folder: Path, kind: Kind, limit: int = 10_000) -> None:
        self.kind, self.bound = kind, kind.bound
        self.master = Master(folder, self.bound)
        self.desks = PastDesks(
            self.bound,
            self.bound.semantics(20),
            self.master.folders,
            Limits(limit, 10_000),
            60.0,
            lambda: 0.0,
        )
        self.base = Snapshot()

    @property
    def since(self) -> Offsets:
        return self.base.manifest.offsets if self.base.manifest else {}

    def publish(self, cut: Cut) -> None:
        manifest = manifest_of(self.bound.source.name, self.bound.semantics(20), cut.number)
        placed, offsets = self.master.placed(cut.offsets), {"offsets": cut.offsets}
        index = MadeIndex(self.kind, placed, self.master.records)
        self.base = Snapshot(manifest=type(manifest)(**{**vars(manifest), **offsets}), index=index)

    def moment(self, until: Offsets) -> Moment:
        stand, cuts = self.desks.master.look(), self.master.folders.cuts().all()
        between = Between(stand, self.since, until, cuts)
        return Moment(Past(offsets=until), self.base, between, None, True)

    def answer(self, name: str, key: Mapping[str, Any], until: Offsets) -> dict[str, Any]:
        async def ask() -> dict[str, Any]:
            moment, question = self.moment(until), self._question(name, key)
            return moment.tell(compose(question, await self.desks.desk(moment).ask(question)))

        return asyncio.run(ask())

    def explain(
        self,
        name: str,
        key: Mapping[str, Any],
        until: Offsets,
        page: Listing = Listing(1000),  # noqa: B008
    ) -> dict[str, Any]:
        speed = FakeSpeed()
        desk = Desk(self.bound, self.desks.semantics, FakeVersions([self.base]), speed)
        explainer = Explainer(desk, self.desks, FakeFields(speed), 20)
        question = self._question(name, key)
        return asyncio.run(explainer.explain_past(self.moment(until), question, page))

    def _question(self, name: str, key: Mapping[str, Any]) -> Question:
        return Question(repeatable(self.bound.view(name)), dict(key), None, None)

    def recomputed(self, name: str, until: Offsets) -> dict[str, Partial]:
        """What a recompute of all records below a position gives over all time, by the key's text."""
        return self.counted(name, self.kind.count(self.master.placed(until)))

    def counted(self, name: str, known: Iterable[Known]) -> dict[str, Partial]:
        """What a view makes of events that count, over all time, by the key's text."""
        found = defaultdict[str, list[Partial]](list)
        for (key, _), partial in _buckets(self.kind, name, known).items():
            found[key].append(partial)
        return {key: self.bound.views[name].merge_all(partials) for key, partials in found.items()}

    def shown(self, name: str, partial: Partial | None) -> dict[str, Any]:
        view = self.bound.views[name]
        return view.present(view.zero if partial is None else partial)
