"""What stands beside a search: its chart over time, and how often each value of a field is in it.

Counts answer for levels, actions, routes and status classes, at a cost of the steps of time. What
they cannot tell is counted by looking at records, newest first, for a moment: that says how far
it came.
"""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.logstore import current_store
from app.logstore.contract import LogQuery, Point
from app.logstore.counts import moment_of, selection_of
from app.logstore.record import time_of

DEFAULT_WINDOW = timedelta(days=1)
_STEPS = (60, 300, 600, 3600, 21_600, 86_400)
_MOST_POINTS = 60
_COUNTED = (("action", "status_class"), ("route",))
_DAY = 86_400
_SLICE = 1000
_SECONDS = 0.25

Facets = Mapping[str, list[tuple[str, int]]]


@dataclass(frozen=True)
class Figures:
    """Steps of time, each with its records by level; and the values of fields, frequent first.

    `looked_back_to` is set when records were looked at and time ran out: older ones are missing.
    """

    points: list[Point]
    step: int
    facets: Facets
    looked_back_to: datetime | None = None

    @property
    def ends(self) -> tuple[datetime, datetime]:
        """Return where the first step starts and where the last one ends."""
        return self.points[0].start, self.points[-1].start + timedelta(seconds=self.step)


def is_counted(query: LogQuery) -> bool:
    """Tell whether counts can answer for a query, so that its figures are known at once."""
    return selection_of(query) is not None


def counted(query: LogQuery) -> Figures:
    """Return the figures of a query that `is_counted`, for the last day if it has no start."""
    query, step = _whole_steps(query)
    store = current_store()
    with store.together():
        points = store.histogram(query, step, "level").points
        found = [(names, store.counted(query, names, ())) for names in _COUNTED]
    values: dict[str, Counter[Any]] = defaultdict(Counter)
    for point in points:
        values["level"].update(point.by)
    for fields, summaries in found:
        for one in summaries:
            for name, value in zip(fields, one.values, strict=True):
                values[name][value] += one.count
    return Figures(points, step, _sorted(values))


def looked_at(query: LogQuery) -> Figures:
    """Return the figures of the newest records of a query, as many as a moment allows."""
    query, step = _whole_steps(query)
    stop = time.monotonic() + _SECONDS
    steps: dict[int, Counter[str]] = defaultdict(Counter)
    values: dict[str, Counter[Any]] = defaultdict(Counter)
    before, looked_back_to = None, None
    while True:
        page = current_store().page(query, before, _SLICE)
        for record in page.records:
            start = int(time_of(record["id"]).timestamp()) // step * step
            steps[start][record["level"]] += 1
            values["user"][record["account"] or record["user_id"]] += 1
            values["host"][record["host"]] += 1
        before = page.next
        if before is None or time.monotonic() >= stop:
            looked_back_to = before and (page.looked_back_to or time_of(before))
            break
    return Figures(_points(query, step, steps), step, _sorted(values), looked_back_to or None)


def _points(query: LogQuery, step: int, steps: Mapping[int, Counter[str]]) -> list[Point]:
    ends = [int(moment.timestamp()) for moment in (query.since, query.until) if moment]
    return [
        Point(moment_of(start), found.total(), found)
        for start in range(ends[0], ends[1], step)
        for found in [steps.get(start, Counter())]
    ]


def _whole_steps(query: LogQuery) -> tuple[LogQuery, int]:
    """Return a query from and to whole steps of its chart, which cost least; and the step."""
    until = query.until or datetime.now(UTC)
    since = query.since or until - DEFAULT_WINDOW
    seconds = (until - since).total_seconds()
    fitting = (one for one in _STEPS if seconds <= one * _MOST_POINTS)
    step = next(fitting, _DAY * -(-int(seconds) // (_DAY * _MOST_POINTS)))
    low = int(since.timestamp()) // step * step
    high = math.ceil(until.timestamp() / step) * step
    return replace(query, since=moment_of(low), until=moment_of(max(high, low + step))), step


def _sorted(values: Mapping[str, Counter[Any]]) -> Facets:
    return {
        name: [(str(value), count) for value, count in found.most_common() if value and count]
        for name, found in values.items()
    }
