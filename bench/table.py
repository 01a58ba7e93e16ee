"""One table, for a terminal and for the documentation alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """One line of the table; without a bar it only informs, without an opponent it stands alone."""

    what: str
    ours: str
    opponent: str = ""
    ratio: str = ""
    bar: str = ""
    met: bool | None = None

    def cells(self) -> tuple[str, ...]:
        met = {True: "yes", False: "NO", None: ""}[self.met]
        return self.what, self.ours, self.opponent, self.ratio, self.bar, met


def compared(
    what: str,
    ours: Sequence[float],
    name: str,
    theirs: Sequence[float],
    *,
    unit: str,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Row:
    """Return a row with the medians of both and the ratio, round by round."""
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    middle = median(ratios)
    limit = at_most if at_most is not None else at_least
    met = None
    if limit is not None:
        met = middle <= limit if at_most is not None else middle >= limit
    return Row(
        what,
        f"{median(ours):,.1f} {unit}",
        f"{name}: {median(theirs):,.1f} {unit}",
        f"{middle:.2f} ({min(ratios):.2f}–{max(ratios):.2f})",  # noqa: RUF001
        f"{'≤' if at_most is not None else '≥'} {limit}" if limit is not None else "",
        met,
    )


def shown(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table whose columns are aligned."""
    head = ("what", "ours", "opponent", "ratio (spread)", "bar", "met")
    lines = [head, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    rule = f"|{'|'.join('-' * (width + 2) for width in widths)}|"
    return "\n".join([line(head), rule, *map(line, lines[1:])])
