"""Tables of the demo: what batch said, what speed said, what the merge said, and the truth."""

from collections.abc import Sequence

from demo.judge import Verdict

_TITLES = ("question", "measure", "batch", "speed", "merged", "truth", "")


def render(rows: Sequence[Sequence[str]]) -> str:
    """Rows under their titles, in columns."""
    widths = [max(len(row[at]) for row in (_TITLES, *rows)) for at in range(len(_TITLES))]
    rule = "  ".join("-" * width for width in widths)
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    titles = "  ".join(title.ljust(width) for title, width in zip(_TITLES, widths, strict=True))
    return "\n".join(line.rstrip() for line in (titles, rule, *lines))


def row(title: str, verdict: Verdict, batch: str, speed: str) -> tuple[str, ...]:
    mark = ("ok" if verdict.exact else "ok (in bounds)") if verdict.right else "WRONG"
    return (title[:52], verdict.measure, batch, speed, verdict.told, verdict.truth, mark)
