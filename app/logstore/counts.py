"""Counts of records by step of time, with a latency histogram that merges over any window.

The latency histogram is a DDSketch (Masson, Rim, Lee, VLDB 2019): buckets that grow by one factor,
so that a bucket's middle is within a share of every value in it, however many are merged.
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from app.logstore.cleaning import clean_text
from app.logstore.contract import LogQuery
from app.logstore.measures import MEASURED, measures
from app.observability.ids import id_floor

# Seconds; each is a whole multiple of the one before.
STEPS = MINUTE, HOUR, DAY = (60, 3600, 86_400)
# Of all routes together, which is few, there are steps between them as well: a chart reads no more
# counts than it has points. They go when those of the step do that they are listed with.
OF_ALL_ROUTES = {MINUTE: (-MINUTE, -900), HOUR: (-HOUR, -21_600), DAY: (-DAY,)}
ALL_STEPS = (*sorted(step for steps in OF_ALL_ROUTES.values() for step in steps), *STEPS)
# By what records are counted; the absent ones under "" and 0.
FIELDS = ("level", "action", "route", "status_class")
MEASURE = "measure"
MAX_POINTS = 3000
END = 2**48 // 1000 // DAY * DAY + DAY  # No id tells of a later time.
_MILLISECOND = timedelta(milliseconds=1)
_MINUTE_MS = 60_000
_ANY_TIME = (None, None)

ACCURACY = 0.049
NO_DURATION = -1
_GAMMA = math.log((1 + ACCURACY) / (1 - ACCURACY))
_SHORTEST, _LONGEST = 0.001, 1e8  # Milliseconds; nobody tells shorter and longer ones apart.
# The longest duration of each bucket but the last; to look it up is faster than a logarithm.
_BOUNDS = (
    math.nextafter(_SHORTEST, 0),
    *(
        _SHORTEST * math.exp(n * _GAMMA)
        for n in range(int(math.log(_LONGEST / _SHORTEST) / _GAMMA) + 1)
    ),
)
# What a chart of about 60 to 100 points can have.
_CHART_STEPS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)


class Key(NamedTuple):
    """Name one count, as the tables do; sorts by step, time and host.

    A negative step counts all routes together, in far fewer rows: `route` then names the measure
    (see `measures.py`) that the buckets are of, "" the duration.
    """

    step: int
    start: int
    source: str
    level: str
    action: str
    route: str
    status_class: int
    fingerprint: str
    bucket: int


K = TypeVar("K", bound=Hashable)
Buckets = dict[int, int]
_Tally = dict[tuple[Any, ...], int]
# What Key() does in Python, of which there are nearly as many as records.
_key = partial(tuple.__new__, Key)
_kind = itemgetter("source", "level", "action", "route", "status")


class Tile(NamedTuple):
    """A stretch of time, in seconds, that counts of one step cover."""

    step: int
    low: int
    high: int


@dataclass(frozen=True)
class Selection:
    """Say which counts a query selects; an empty field selects all."""

    levels: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    route: str | None = None
    class_min: int | None = None
    class_max: int | None = None
    without: tuple["Selection", ...] = ()
    # Of records with an exception only, and with this one.
    failed: bool = False
    fingerprint: str | None = None

    def any_route(self) -> bool:
        """Tell whether it selects the same of each route, and of each exception."""
        here = self.route is None and not self.failed
        return here and all(one.any_route() for one in self.without)

    def whole(self) -> "Selection":
        """Return what selects the same among the counts of all routes together."""
        return replace(self, route="")


def tally(records: Iterable[Mapping[str, Any]]) -> Counter[Key]:
    """Count records, each with its `source`, in every step; their time is that of their ids."""
    minutes, whole = _by_minute(records)
    counts = defaultdict[Key, int](int)
    # Sorted here, while they are few: the stores add them in the order of the key.
    of_routes, of_all = sorted(minutes.items()), sorted(whole.items())
    for step in ALL_STEPS:
        length = abs(step)
        for (start, *rest), count in of_routes if step > 0 else of_all:
            counts[_key((step, start // length * length, *rest))] += count
    return Counter(counts)


def _by_minute(records: Iterable[Mapping[str, Any]]) -> tuple[_Tally, _Tally]:
    """Count records by minute: of each route, and of all together with what they measure."""
    # As they come; only what differs, which is much less, is then named as the counts are.
    raw, measured = defaultdict[Any, int](int), defaultdict[Any, int](int)
    for record in records:
        # All asked here what second_of() and bucket() do: a call takes as long as that.
        record_id, duration = record["id"], record["duration_ms"]
        minute = int(record_id[:8] + record_id[9:13], 16) // _MINUTE_MS
        kind = _kind(record)
        number = NO_DURATION if duration is None else bisect_left(_BOUNDS, duration)
        raw[minute, kind, fingerprint_of(record), number] += 1
        if record["action"] in MEASURED:
            for name, value in measures(record):
                measured[minute, kind, name, bucket(value)] += 1
    minutes, whole = defaultdict[Any, int](int), defaultdict[Any, int](int)
    for (minute, kind, fingerprint, number), count in raw.items():
        source, level, action, route, status = kind
        named = minute * MINUTE, source, level, action or ""
        status = status_class(status)
        minutes[*named, route or "", status, fingerprint, number] += count
        whole[*named, "", status, "", number] += count
    for (minute, (source, level, action, *_), name, number), count in measured.items():
        whole[minute * MINUTE, source, level, action or "", name, 0, "", number] += count
    return minutes, whole


def fingerprint_of(record: Mapping[str, Any]) -> str:
    """Return the fingerprint of a record's exception, "" for none; or of a row's or document's."""
    fingerprint = record.get("exception_fingerprint")
    if fingerprint is None and (exception := record.get("exception")):
        fingerprint = exception.get("fingerprint")
    return fingerprint or ""


def second_of(record_id: str) -> int:
    """Return the time in an id, in seconds since 1970."""
    return int(record_id[:8] + record_id[9:13], 16) // 1000


def id_at(second: int) -> str:
    """Return a value that sorts before every id of this second and later."""
    return str(UUID(int=min(second * 1000 << 80, 2**128 - 1)))


def status_class(status: int | None) -> int:
    """Return 5 for 503; 0 for no status."""
    return (status or 0) // 100


def bucket(duration_ms: float | None) -> int:
    """Return the number of a duration's bucket: 0 for none at all, NO_DURATION if not known."""
    return NO_DURATION if duration_ms is None else bisect_left(_BOUNDS, duration_ms)


def duration_of(number: int) -> float:
    """Return the duration, in milliseconds, that stands for a bucket."""
    upper = _SHORTEST * math.exp((number - 1) * _GAMMA)
    return upper * (1 - ACCURACY) if number > 0 else 0.0


def merged(rows: Iterable[tuple[K, Buckets]]) -> dict[K, Buckets]:
    """Add the buckets of each key up, in the first ones there are of it: copies take their time."""
    found: dict[K, Buckets] = {}
    for key, buckets in rows:
        known = found.setdefault(key, buckets)
        if known is not buckets:
            for number, count in buckets.items():
                known[number] = known.get(number, 0) + count
    return found


def percentiles(
    buckets: Mapping[int, int], quantiles: Sequence[float]
) -> dict[float, float | None]:
    """Return each quantile (0 to 1) of merged buckets within 5 %, None if none has a duration.

    The nearest rank: so many values are no greater. Of few, a high one is the greatest of all.
    """
    known = sorted(number for number in buckets if number >= 0)
    ends = list(accumulate(map(buckets.__getitem__, known)))
    return {
        quantile: duration_of(known[bisect_right(ends, _rank(quantile, ends[-1]))])
        if known
        else None
        for quantile in quantiles
    }


def _rank(quantile: float, total: int) -> int:
    return max(math.ceil(quantile * total) - 1, 0)


def step_for(window: timedelta) -> int:
    """Return the step, in seconds, for a chart of a window with about 60 to 100 points."""
    seconds = window.total_seconds()
    fitting = (step for step in _CHART_STEPS if seconds <= 100 * step)
    return next(fitting, DAY * math.ceil(seconds / (100 * DAY)))


def selection_of(query: LogQuery) -> Selection | None:
    """Return what a query selects if counts can tell it; None if it asks for more than they have.

    They know level, action, route, whole status classes (400 to 499), fingerprint and time.
    """
    others = (query.user_id, query.account, query.request_id, query.min_duration_ms,
              query.max_duration_ms)  # fmt: skip
    low, high = query.status_min, query.status_max
    if query.equal or any(query.texts) or any(value is not None for value in others):
        return None
    without = [selection_of(one) for one in query.without]
    known = tuple(one for one in without if one is not None)
    if len(known) < len(without) or any(one.id_bounds() != _ANY_TIME for one in query.without):
        return None
    if not _whole_classes(low, high):
        return None
    return Selection(
        levels=tuple(clean_text(level.upper()) for level in query.levels),
        actions=tuple(map(clean_text, query.actions)),
        route=None if query.route is None else clean_text(query.route),
        class_min=low // 100 if low is not None else None if high is None else 1,
        class_max=None if high is None else high // 100,
        without=known,
        failed=bool(query.fingerprint),
        fingerprint=clean_text(query.fingerprint) if query.fingerprint else None,
    )


def _whole_classes(low: int | None, high: int | None) -> bool:
    starts = low is None or (low % 100 == 0 and 100 <= low < 1000)
    return starts and (high is None or (high % 100 == 99 and 100 <= high < 1000))


def bounds_of(query: LogQuery) -> tuple[int, int]:
    """Return a query's range of time, in seconds; an open end is that of all ids."""
    low = second_of(id_floor(query.since)) if query.since else 0
    # The range ends outside a second that it has a part of.
    high = second_of(id_floor(query.until - _MILLISECOND)) + 1 if query.until else END
    return low, max(low, high)


def tiles(low: int, high: int, coarsest: int, horizons: Mapping[int, int]) -> Iterator[Tile]:
    """Cover a range of time with as few counts as can be, outward to whole minutes.

    Of each step there is nothing before its horizon, a whole day; there a coarser step has to
    do, whose edge is the range's then. Where it need not, none is longer than `coarsest`.
    """
    edges = sorted({low, high, *(edge for edge in horizons.values() if low < edge < high)})
    for start, end in pairwise(edges):
        there = [step for step in sorted(horizons) if horizons[step] <= start]
        fitting = [step for step in there if step <= coarsest] or there[:1]
        yield from _cover(start, end, fitting)


def _cover(low: int, high: int, steps: Sequence[int]) -> Iterator[Tile]:
    *finer, step = steps
    if not finer:
        yield Tile(step, low // step * step, -(-high // step) * step)
        return
    inner_low, inner_high = -(-low // step) * step, high // step * step
    if inner_low >= inner_high:
        yield from _cover(low, high, finer)
        return
    if low < inner_low:
        yield from _cover(low, inner_low, finer)
    yield Tile(step, inner_low, inner_high)
    if inner_high < high:
        yield from _cover(inner_high, high, finer)


def moment_of(second: int) -> datetime:
    """Return seconds since 1970 as a time."""
    return datetime.fromtimestamp(second, UTC)
