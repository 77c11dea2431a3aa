"""One table of both architectures, with what each row means, as Markdown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.kappa.change import Changed
from bench.kappa.comparison import Comparison
from bench.kappa.trial import Figures
from bench.kappa.usage import Phase, total
from bench.report import percentile

__all__ = ["Row", "markdown", "rows"]

_MB = 1 << 20


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    lambda_: str
    kappa: str
    meaning: str


def rows(left: Figures, right: Figures) -> list[Row]:
    """Every figure of both: `left` is Lambda."""
    return [
        *(Row(what, of(left), of(right), meaning) for what, of, meaning in _FIGURES),
        *_disks(left, right),
        *_changes(left.changes, right.changes),
    ]


def markdown(found: Sequence[Row], compared: Comparison, machine: str, events: int) -> str:
    """The report: what was compared, on what, and the table."""
    titles = Row(f"{events:,} events", "Lambda", "Kappa", "what it means")
    lines = [_line(titles), "|---|---|---|---|", *map(_line, found)]
    return "\n".join([*_verdict(compared), "", f"Machine: {machine}.", "", *lines, ""])


def _verdict(compared: Comparison) -> list[str]:
    told = (
        f"{compared.exact:,} exact and {compared.approximate:,} approximate measures were held against plain "
        f"Python, {compared.between:,} of one architecture against the other: {len(compared.wrong)} wrong."
    )
    return [told, *(f"- WRONG {line}" for line in compared.wrong[:20])]


def _line(row: Row) -> str:
    return "| " + " | ".join((row.what, row.lambda_, row.kappa, row.meaning)) + " |"


def _seconds(phase: Phase) -> str:
    return f"{phase.seconds:.0f} s" if phase.seconds else "-"


def _by_role(phase: Phase, share: float = 1.0) -> str:
    """All of it, then the roles that took most."""
    named = sorted(((cpu * share, role) for role, cpu in phase.cpu.items()), reverse=True)
    shown = ", ".join(f"{role} {cpu:.0f}" for cpu, role in named if cpu >= 0.5)
    return f"{total(phase) * share:.0f} s ({shown})" if phase.cpu else "-"


def _answering(figures: Figures) -> str:
    return _by_role(figures.filled, 1_000_000 / figures.events)


def _a_million(figures: Figures) -> str:
    return _by_role(figures.filled + figures.published, 1_000_000 / figures.events)


def _busy_peak(figures: Figures) -> str:
    return _bytes((figures.filled + figures.published).peak)


def _load(figures: Figures) -> str:
    return f"{min(figures.loads):.1f} to {max(figures.loads):.1f}"


def _idle(figures: Figures) -> str:
    return f"{total(figures.idle) / figures.idle.seconds:.2f} cores"


def _millis(values: Sequence[float]) -> str:
    if not values:
        return "-"
    p50, p99 = (percentile(values, share) * 1000 for share in (0.5, 0.99))
    return f"{p50:,.0f} / {p99:,.0f} ms"


def _bytes(size: int) -> str:
    return f"{size / _MB:,.0f} MB"


def _read(figures: Figures) -> str:
    return f"{figures.read['tiles']} tiles, {figures.read['fields']} fields"


_FIGURES: Sequence[tuple[str, Callable[[Figures], str], str]] = (
    ("load average of the machine meanwhile", _load, "times are to be compared where these are alike"),
    ("start, until an empty log is answered", lambda f: _seconds(f.start), "Kafka, Redis, one JVM, the API"),
    ("CPU of the start", lambda f: _by_role(f.start), "the same for both"),
    ("sending all events, until answered", lambda f: _seconds(f.filled), "the speed job's way, in both"),
    ("publishing", lambda f: _seconds(f.published), "a JVM and a full recompute each time"),
    ("CPU to send and answer, for a million events", _answering, "with the first, cold micro-batches"),
    ("CPU of publishing", lambda f: _by_role(f.published), "twice: a JVM, and what was sent so far anew"),
    ("CPU of all that, for a million events", _a_million, "fewer events pay more for each JVM"),
    ("CPU while nothing happens", _idle, "the speed job looks for events five times a second"),
    ("peak memory (RSS of all processes)", _busy_peak, "shared pages count in each process"),
    ("Redis when all is answered", lambda f: _bytes(f.redis), "Lambda drops what two publishes cover"),
    ("an answer at a steady rate, p50 / p99", lambda f: _millis(f.latency), "one key, all of time"),
    ("incomplete or failed of these", lambda f: str(f.failed), "of questions at that rate"),
    ("read for the first answer about everything", _read, "tiles of the index, fields of Redis"),
    ("freshness, p50 / p99", lambda f: _millis(f.freshness), "from acknowledgement to answer"),
    ("cuts in the registry", lambda f: str(f.cuts), "grow with time in both"),
    ("a question as of the first cut", lambda f: f.past, "the past needs the master dataset"),
)


def _disks(left: Figures, right: Figures) -> list[Row]:
    meaning = "room on disk when all is answered"
    return [
        Row(name, _bytes(size), _bytes(right.disk.get(name, 0)), meaning) for name, size in left.disk.items()
    ]


def _changes(left: Sequence[Changed], right: Sequence[Changed]) -> list[Row]:
    """Lambda's one way beside each of Kappa's."""
    return [row for one in left for other in right for row in _change(one, other)]


def _change(one: Changed, other: Changed) -> list[Row]:
    way = f"changed definition ({one.way}; {other.way})"
    figures = [
        (way, _moved, "until answers run on it, all that was sent before included"),
        ("CPU of the change", lambda made: _by_role(made.phase), "events flow meanwhile"),
        ("peak memory meanwhile", lambda made: _bytes(made.phase.peak), "all processes"),
        ("Redis at its end", lambda made: _bytes(made.redis), "both definitions, where both stand"),
        ("readers meanwhile", _readers, "seconds in which neither definition answered"),
        ("oldest of the old answers, p99", _lag, "how far behind `as_of` was"),
    ]
    return [Row(what, show(one), show(other), meaning) for what, show, meaning in figures]


def _moved(made: Changed) -> str:
    assert made.seen is not None
    steps = ", ".join(f"{step} {seconds:.0f}" for step, seconds in made.steps.items())
    return f"{made.seen.moved_after:.0f} s" + (f" ({steps})" if steps else "")


def _readers(made: Changed) -> str:
    seen = made.seen
    assert seen is not None
    told = f"{seen.without:.1f} s without an answer; {seen.asked:,} asked, {seen.wrong} wrong"
    return told + "".join(f"; {reason}" for reason in seen.reasons)


def _lag(made: Changed) -> str:
    assert made.seen is not None
    return f"{made.seen.lag:.1f} s"
