"""Answer questions about many records from their counts, the same on every store."""

import time
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from typing import Any, Protocol, TypeVar

from app.logstore.contract import Histogram, LogQuery, Page, Point, Recount, Summary
from app.logstore.counts import (
    ALL_STEPS,
    DAY,
    END,
    FIELDS,
    MAX_POINTS,
    MEASURE,
    MINUTE,
    NO_DURATION,
    OF_ALL_ROUTES,
    STEPS,
    Buckets,
    Selection,
    Tile,
    bounds_of,
    merged,
    moment_of,
    percentiles,
    second_of,
    selection_of,
    status_class,
    tiles,
)
from app.logstore.error_groups import ErrorGroups, Occurrences, by_fingerprint, in_order
from app.logstore.record import time_of
from app.logstore.recount import Records, recount
from app.observability.ids import id_floor

T = TypeVar("T")
_QUANTILES = (0.5, 0.95, 0.99)
_SCAN_SLICE = 1000
_Rows = Iterable[tuple[Any, ...]]
_Merged = dict[tuple[Hashable, ...], Buckets]
_histograms, _totals = attrgetter("histograms"), attrgetter("sums")


class Counts(Records, Protocol):
    """Read and write the counts of one store, in one transaction where they are changed."""

    def sums(
        self, chosen: Selection, covered: Sequence[Tile], fields: Sequence[str], step: int | None
    ) -> _Rows:
        """Return each (start of `step`, values of the fields, sum) of what tiles cover.

        Without a step there is no start.
        """

    def histograms(
        self, chosen: Selection, covered: Sequence[Tile], fields: Sequence[str], step: int | None
    ) -> _Rows:
        """Return what `sums` does with {bucket: sum} for the sum; a key may come twice."""

    def first_days(self, chosen: Selection) -> Mapping[str, int]:
        """Return the first day, in seconds, that has each fingerprint, or the chosen one."""

    def oldest_starts(self) -> Mapping[int, int | None]:
        """Return for every step what `oldest_start` does, in one question that is asked once."""

    def delete(self, tile: Tile) -> int:
        """Delete what a tile covers; return how many counts."""


class CountQuestions(ABC):
    """The part of a `contract.LogStore` that counts serve; says there what each method does."""

    _deadline: float

    @abstractmethod
    def with_counts(self, work: Callable[[Counts], T], *, change: bool = False) -> T:
        """Have `work` done; to `change` counts, in a transaction that no batch comes between."""

    @abstractmethod
    def page(self, query: LogQuery, before: str | None = None, limit: int = 50) -> Page: ...

    def histogram(self, query: LogQuery, step: int, by: str | None = None) -> Histogram:
        fields = _checked((by,) if by else ())
        low, high, starts = self._points(query, step)
        looked_back_to: datetime | None = None
        rows: _Rows
        if (chosen := selection_of(query)) is None:
            rows, looked_back_to = self._scan(query, low, high, step, by)
        else:
            rows = self._sums(chosen, low, high, fields, step, list)
        counts: dict[int, Counter[Any]] = defaultdict(Counter)
        for start, *values, count in rows:
            counts[max(start, starts[0])][tuple(values)] += count
        points = [
            Point(
                moment_of(start),
                counts[start].total(),
                {_shown(value): count for (value,), count in counts[start].items()} if by else {},
            )
            for start in starts
        ]
        return Histogram(points, looked_back_to)

    def percentiles(
        self, query: LogQuery, quantiles: Sequence[float] = _QUANTILES, step: int | None = None
    ) -> list[Summary]:
        if step is None:
            return self.counted(query, (), quantiles)
        low, high, starts = self._points(query, step)

        def merge(rows: _Rows) -> _Merged:
            return _merged((max(start, starts[0]), *rest) for start, *rest in rows)

        found = self._sums(_countable(query), low, high, (), step, merge, _histograms)
        return [
            _summary((moment_of(start),), found.get((start,), {}), quantiles) for start in starts
        ]

    def counted(
        self, query: LogQuery, fields: Sequence[str] = (), quantiles: Sequence[float] = _QUANTILES
    ) -> list[Summary]:
        low, high = bounds_of(query)
        fold, ask = (_merged, _histograms) if quantiles else (_merged_totals, _totals)
        sums = self._sums(_countable(query), low, high, _checked(fields), None, fold, ask)
        if not fields:
            return [_summary((), sums.get((), {}), quantiles)]
        found = [_summary(tuple(map(_shown, key)), one, quantiles) for key, one in sums.items()]
        return sorted(found, key=lambda one: (-one.count, str(one.values)))

    @abstractmethod
    def _occurrences(self, fingerprints: Sequence[str], floor: str) -> Mapping[str, Occurrences]:
        """Return what there is of each fingerprint; users from the id `floor` on."""

    def error_groups(self, query: LogQuery, step: int, limit: int = 100) -> ErrorGroups:
        low, high, starts = self._points(query, step)
        chosen = replace(_countable(query), failed=True)
        rows = self._sums(chosen, low, high, ("fingerprint",), step, list)
        counts = by_fingerprint(rows, starts, chosen.fingerprint)
        names = list(counts)[:limit]
        days = self.with_counts(lambda one: one.first_days(chosen))
        found = self._occurrences(names, id_floor(query.since or moment_of(low)))
        moments = [moment_of(start) for start in starts]
        return ErrorGroups(in_order(counts, days, found), moments, len(counts) - len(names))

    def buckets(
        self, query: LogQuery, fields: Sequence[str] = (), step: int | None = None
    ) -> dict[tuple[Any, ...], Buckets]:
        chosen = _countable(query)
        if MEASURE in fields and not (chosen.any_route() and "route" not in fields):
            raise ValueError("What was measured is counted for all routes together only.")
        _checked([field for field in fields if field != MEASURE])
        low, high = bounds_of(query)
        if step is not None:
            low, high, _ = self._points(query, step)
        found = self._sums(chosen, low, high, fields, step, _merged, _histograms)
        return {tuple(map(_shown, key)): buckets for key, buckets in found.items()}

    def recount(self, since: datetime | None = None, *, check: bool = False) -> Recount:
        return recount(self.with_counts, since, check=check)

    def purge_counts(self, before: datetime, step: int = MINUTE) -> int:
        if step not in STEPS:
            raise ValueError(f"There are no counts of {step} s.")
        # Of whole days: what is left of a day would seem to be all of it.
        end, deleted = int(before.timestamp()) // DAY * DAY, 0
        while (start := self.with_counts(lambda counts: counts.oldest_start(step))) is not None:
            if start >= end:
                break
            # An hour of minutes, so that no batch waits long; from where the longest of the steps
            # begins that go with them.
            start -= start % max(map(abs, OF_ALL_ROUTES[step]))
            tile = Tile(step, start, min(start + 60 * step, end))
            deleted += self.with_counts(partial(_delete, tile=tile), change=True)
        return deleted

    def _points(self, query: LogQuery, step: int) -> tuple[int, int, range]:
        """Return the time of a chart, in seconds, and where its steps start."""
        if step < MINUTE or step % MINUTE:
            raise ValueError("A step is a whole number of minutes, in seconds.")
        until = query.until or datetime.now(UTC)
        low, high = bounds_of(replace(query, until=until))
        if query.since is None:
            low = self.with_counts(lambda counts: counts.oldest_start(DAY)) or high
        low = min(low, high - 1)
        starts = range(low // step * step, high, step)
        if len(starts) > MAX_POINTS:
            raise ValueError(f"At most {MAX_POINTS} steps at once: take longer ones.")
        return low, high, starts

    def _sums(
        self,
        chosen: Selection,
        low: int,
        high: int,
        fields: Sequence[str],
        step: int | None,
        fold: Callable[[_Rows], T],
        ask: Callable[[Counts], Callable[..., _Rows]] = _totals,
    ) -> T:
        """Return what `fold` makes of the rows, one by one: thousands at once cost a collection."""
        whole = chosen.any_route() and not {"route", "fingerprint"} & set(fields)
        signed = [one for one in ALL_STEPS if (one < 0) == whole]
        if MEASURE in fields:
            fields = ["route" if field == MEASURE else field for field in fields]
        elif whole:
            chosen = chosen.whole()
        sign = -1 if whole else 1
        coarsest = max(abs(one) for one in signed if (step or DAY) % one == 0)

        def work(counts: Counts) -> T:
            oldest = counts.oldest_starts()
            horizons = {abs(one): _horizon(one, oldest[one]) for one in signed}
            covered = tiles(low, high, coarsest, horizons)
            signed_tiles = [one._replace(step=sign * one.step) for one in covered]
            found = ask(counts)(chosen, signed_tiles, fields, step) if signed_tiles else ()
            return fold(row for row in found if row[-1])

        return self.with_counts(work)

    def _scan(
        self, query: LogQuery, low: int, high: int, step: int, by: str | None
    ) -> tuple[Iterator[tuple[Any, ...]], datetime | None]:
        """Count records by looking at them, newest first; return also how far that came."""
        stop = time.monotonic() + self._deadline
        wanted = replace(query, since=moment_of(low), until=query.until or moment_of(high))
        counts: Counter[tuple[Any, ...]] = Counter()
        before = None
        while True:
            page = self.page(wanted, before, _SCAN_SLICE)
            counts.update(
                (second_of(one["id"]) // step * step, *((_value(one, by),) if by else ()))
                for one in page.records
            )
            before = page.next
            if before is None or time.monotonic() >= stop:
                break
        rows = ((*key, count) for key, count in counts.items())
        return rows, time_of(before) if before else None


def _horizon(step: int, oldest: int | None) -> int:
    """Return the day before which there is nothing of a step; of whole days there always is."""
    if abs(step) == DAY:
        return 0
    return END if oldest is None else oldest // DAY * DAY


def _delete(counts: Counts, tile: Tile) -> int:
    steps = (tile.step, *OF_ALL_ROUTES[tile.step])
    return sum(counts.delete(tile._replace(step=step)) for step in steps)


def _countable(query: LogQuery) -> Selection:
    chosen = selection_of(query)
    if chosen is None:
        raise ValueError(
            "Records are counted by level, action, route, whole status classes (400 to 499) and "
            "fingerprint only; this query asks for more."
        )
    return chosen


def _checked(fields: Sequence[str]) -> Sequence[str]:
    for field in fields:
        if field not in FIELDS:
            raise ValueError(f"Records are not counted by {field!r}, but by {', '.join(FIELDS)}.")
    return fields


def _merged(rows: _Rows) -> _Merged:
    """Return the buckets of each combination of values; a row ends with some of them."""
    return merged((row[:-1], row[-1]) for row in rows)


def _merged_totals(rows: _Rows) -> _Merged:
    return _merged((*values, {NO_DURATION: count}) for *values, count in rows)


def _summary(
    values: tuple[Any, ...], buckets: Mapping[int, int], quantiles: Sequence[float]
) -> Summary:
    return Summary(values, sum(buckets.values()), percentiles(buckets, quantiles))


def _value(record: Mapping[str, Any], field: str) -> Any:
    value = status_class(record["status"]) if field == "status_class" else record[field]
    return value or ""


def _shown(value: Any) -> Any:
    # What is absent is "" and 0 in the counts.
    return value or None
