"""The chart of a search as a page draws it: bars of records over time, stacked by level."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.blueprints.admin.filters import Filters
from app.services.log_facets import Figures

# From the bottom up; what is worst lies on top, and is never drawn too low to be seen.
LOOKS = {"quiet": "info and debug", "warning": "warning", "error": "error and above"}
_OF_LEVEL = {"WARNING": "warning", "ERROR": "error", "CRITICAL": "error"}
SLOT, GAP, HEIGHT = 10, 1.5, 100
_LOWEST = 3.0


@dataclass(frozen=True)
class Bar:
    """One step of time: its parts as (look, y, height), and where it leads."""

    start: datetime
    end: datetime
    x: float
    counts: dict[str, int]
    parts: list[tuple[str, float, float]]
    address: dict[str, str]

    @property
    def count(self) -> int:
        """Return how many records it has."""
        return sum(self.counts.values())

    @property
    def span(self) -> str:
        """Return its time, for a person."""
        whole_day = self.end - self.start >= timedelta(days=1)
        form = "%Y-%m-%d" if whole_day else "%Y-%m-%d %H:%M"
        return f"{self.start:{form}} to {self.end:{form if whole_day else '%H:%M'}}"

    @property
    def said(self) -> str:
        """Return what it shows, in words."""
        parts = [f"{count:,} {LOOKS[look]}" for look, count in self.counts.items() if count]
        return f"{self.span}: {', '.join(parts) or 'no records'}"


def bars(figures: Figures, filters: Filters) -> list[Bar]:
    """Return a bar for each step of the figures; a click on one asks for its time."""
    step = timedelta(seconds=figures.step)
    highest = max((point.count for point in figures.points), default=0)
    found = []
    for number, point in enumerate(figures.points):
        counts = dict.fromkeys(LOOKS, 0)
        for level, count in point.by.items():
            counts[_OF_LEVEL.get(level or "", "quiet")] += count
        end = point.start + step
        found.append(Bar(
            point.start, end, number * SLOT, counts, _parts(counts, highest),
            filters.zoomed(point.start, end),
        ))  # fmt: skip
    return found


def totals(found: list[Bar]) -> dict[str, int]:
    """Return how many records all bars have of each look."""
    return {look: sum(bar.counts[look] for bar in found) for look in LOOKS}


def _parts(counts: dict[str, int], highest: int) -> list[tuple[str, float, float]]:
    parts, top = [], float(HEIGHT)
    room = HEIGHT - _LOWEST * (len(LOOKS) - 1)
    for look, count in counts.items():
        if count:
            height = max(_LOWEST, room * count / highest)
            top -= height
            parts.append((look, round(top, 2), round(height, 2)))
    return parts
