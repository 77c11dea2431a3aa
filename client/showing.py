"""Answers as text for a terminal: tables, and a sparkline for each measure of a series."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from client.models import Answer, Catalogue, Measures, Row, View
from client.several import Standing
from client.values import Estimate, Quantiles, Ranked, Value

__all__ = [
    "catalogue_text",
    "figure",
    "parts_text",
    "series_text",
    "shown",
    "sparkline",
    "standing_text",
    "table",
    "text_of",
]

_BARS = "▁▂▃▄▅▆▇█"
_RANKED_SHOWN = 3


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as they need to be; the first one to the left."""
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    made = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join(
        line.rstrip() for line in [made[0], "  ".join("-" * width for width in widths), *made[1:]]
    )


def shown(value: Value) -> str:
    """One value as a person reads it; bounds where they differ from the value."""
    if value is None or value == ():
        return "-"
    if isinstance(value, Estimate):
        around = f" ({_number(value.lower)} to {_number(value.upper)})" if value.lower < value.upper else ""
        return f"~{_number(value.estimate)}{around}" if around else _number(value.estimate)
    if isinstance(value, Quantiles):
        return ", ".join(f"p{one.rank * 100:g} {_number(one.value)}" for one in value.quantiles) or "-"
    if isinstance(value, tuple):
        return ", ".join(map(_ranked, value[:_RANKED_SHOWN])) + (
            ", ..." if len(value) > _RANKED_SHOWN else ""
        )
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {shown(inner)}" for name, inner in value.items())
    return _plain(value)


def figure(value: Value) -> float | None:
    """The number that stands for a value in a sparkline, of quantiles the median; None if there is none."""
    if isinstance(value, Estimate):
        return value.estimate
    if isinstance(value, Quantiles):
        return value.quantiles[0].value if value.quantiles else None
    return float(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


def sparkline(values: Sequence[float | None], width: int = 80) -> str:
    """A bar for each value, blank where there is none; of more than `width`, the mean of neighbours."""
    fitted = _fitted(values, width)
    known = [value for value in fitted if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    step = (high - low) / (len(_BARS) - 1) or 1.0
    return "".join(" " if value is None else _BARS[round((value - low) / step)] for value in fitted)


def _fitted(values: Sequence[float | None], width: int) -> list[float | None]:
    size = -(-len(values) // width) or 1
    groups = [values[at : at + size] for at in range(0, len(values), size)]
    return [_mean([value for value in group if value is not None]) for group in groups]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def text_of(answer: Answer, rows: bool = False, width: int = 80) -> str:
    """One row as a table of its measures; a series as sparklines, or with `rows` as a table of its rows."""
    if answer.every is None:
        body = "\n".join(parts_text(row) for row in answer.rows)
    else:
        body = _rows(answer) if rows else series_text(answer, width)
    return f"{_title(answer)}\n\n{body}\n\n{_footer(answer)}"


def series_text(answer: Answer, width: int = 80) -> str:
    """For each measure a sparkline of the merged numbers, the least, the most and the newest."""
    names = list(answer.rows[0].measures) if answer.rows else []
    lines = []
    for name in names:
        found = [figure(row.measures[name]) for row in answer.rows]
        known = [value for value in found if value is not None]
        if known:
            ends = [_number(value) for value in (min(known), max(known), known[-1])]
            lines.append([name, sparkline(found, width), *ends])
    return (
        table(["measure", f"by {answer.every}", "least", "most", "newest"], lines) if lines else "no events"
    )


def catalogue_text(catalogue: Catalogue) -> str:
    """Every view, and how to ask it."""
    rows = [[view.name, ", ".join(part.name for part in view.key) or "-", _measures(view), view.description]
            for view in catalogue.views]  # fmt: skip
    example = next((view for view in catalogue.views if view.key), None)
    asked = (
        f"\n\nask: query {example.name} {' '.join(f'{p.name}=...' for p in example.key)}" if example else ""
    )
    return table(["view", "key", "measures", "what it is"], rows) + asked


def _measures(view: View) -> str:
    return ", ".join(measure.name for measure in view.measures)


def _title(answer: Answer) -> str:
    key = " ".join(f"{name}={'NULL' if value is None else value}" for name, value in answer.key.items())
    span = f"{_moment(answer.start) or 'the first event'} to {_moment(answer.end) or 'the last'}"
    return f"{answer.view} {key}".rstrip() + f", {span}"


def parts_text(row: Row) -> str:
    """A line for each measure: merged, and what each layer contributed."""
    lines = [
        [name, shown(value), _of(row.batch, name), _of(row.speed, name)]
        for name, value in row.measures.items()
    ]
    return table(["measure", "merged", "batch", "speed"], lines)


def _of(measures: Measures | None, name: str) -> str:
    return "-" if measures is None else shown(measures.get(name))


def _rows(answer: Answer) -> str:
    if not answer.rows:
        return "no events"
    names = list(answer.rows[0].measures)
    lines = [[_moment(row.start), *(shown(row.measures[name]) for name in names)] for row in answer.rows]
    return table(["from", *names], lines)


def _footer(answer: Answer) -> str:
    return f"{standing_text(answer)}; read {answer.read.tiles} tiles and {answer.read.fields} fields"


def standing_text(told: Answer | Standing) -> str:
    """Whether it is complete, and what it was read from."""
    version = f"version {told.manifest.version}" if told.manifest else "no version published"
    if told.complete:
        return f"complete as of {_moment(told.as_of)}; {version}"
    return "\n".join(["NOT COMPLETE:", *(f"  {reason}" for reason in told.reasons), version])


def _ranked(one: Ranked) -> str:
    return f"{one.value} {_number(one.estimate)}"


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return _moment(value)
    return _number(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else str(value)


def _number(value: float | Decimal) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"


def _moment(value: datetime | None) -> str:
    if value is None:
        return ""
    text = value.isoformat(" ", "milliseconds" if value.microsecond else "seconds")
    return text.removesuffix("+00:00") + ("Z" if value.utcoffset() == UTC.utcoffset(None) else "")
