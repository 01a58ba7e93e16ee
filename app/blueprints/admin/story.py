"""One request told from its records: what it was, and what it did in which order."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.blueprints.admin.present import Record, moment, queries

_EPOCH = datetime.fromtimestamp(0, UTC)
_DAY_MS = 86_400_000.0
_NARROWEST = 0.6  # Percent: a bar of a fast statement must still be seen.
# A stretch without anything recorded is shown when it is long, and no small part of the whole.
_GAP = timedelta(milliseconds=5)
_GAP_SHARE = 0.05


@dataclass(frozen=True)
class Step:
    """One thing a request did: a record it wrote, or a statement it ran.

    `bar_start` and `bar_width` are percent of the request's whole time. `gap_ms` is how long
    before it nothing was recorded, None where that is too short to tell.
    """

    start: datetime
    end: datetime
    record: Record | None = None
    query: dict[str, Any] | None = None
    offset_ms: float = 0.0
    bar_start: float = 0.0
    bar_width: float = 0.0
    gap_ms: float | None = None

    @property
    def at(self) -> datetime:
        """Return when a record was written, or when a statement began."""
        return self.end if self.query is None else self.start


@dataclass(frozen=True)
class Story:
    """Everything under one request ID, oldest first."""

    requests: list[Record]
    errors: list[Record]
    steps: list[Step]
    account: str | None
    user_id: str | None

    @property
    def sql(self) -> list[Step]:
        """Return the statements alone."""
        return [step for step in self.steps if step.query is not None]


def tell(records: Sequence[Record]) -> Story:
    """Put a request's records and its statements on one line of time.

    A client may send the same request ID twice: then there is more than one request in it.
    """
    requests = [record for record in records if record.get("action") == "request"]
    steps = [_record_step(record) for record in records]
    for request in requests:
        steps += _query_steps(request)
    # The sort is stable: what shares an instant stays in the order of its records.
    steps.sort(key=lambda step: step.at)
    return Story(
        requests=requests,
        errors=[record for record in records if record.get("exception")],
        steps=_with_bars(steps),
        account=_first(records, "account"),
        user_id=_first(records, "user_id"),
    )


def _first(records: Sequence[Record], name: str) -> Any:
    return next((record[name] for record in records if record.get(name)), None)


def _record_step(record: Record) -> Step:
    # A record is written at the end of what it tells.
    end = moment(record.get("timestamp")) or _EPOCH
    return Step(start=end - _span(record.get("duration_ms")), end=end, record=record)


def _query_steps(request: Record) -> list[Step]:
    begin = _record_step(request).start
    starts = [(query, begin + _span(query.get("offset_ms"))) for query in queries(request)]
    return [Step(start, start + _span(query.get("ms")), query=query) for query, start in starts]


def _span(milliseconds: Any) -> timedelta:
    known = isinstance(milliseconds, int | float) and 0 <= milliseconds <= _DAY_MS
    return timedelta(milliseconds=float(milliseconds) if known else 0.0)


def _with_bars(steps: list[Step]) -> list[Step]:
    if not steps:
        return []
    first = min(step.start for step in steps)
    whole = max(step.end for step in steps) - first
    # Without its statements, nothing tells where a request's time went.
    least = max(_GAP, whole * _GAP_SHARE) if any(step.query for step in steps) else timedelta.max
    told, done = [], first
    for step in steps:
        gap = step.at - done
        told.append(
            _with_bar(step, first, _milliseconds(whole) or 1.0, gap if gap >= least else None)
        )
        done = max(done, step.end)
    return told


def _with_bar(step: Step, first: datetime, whole: float, gap: timedelta | None) -> Step:
    start = 100 * _milliseconds(step.start - first) / whole
    width = max(_NARROWEST, 100 * _milliseconds(step.end - step.start) / whole)
    return replace(
        step,
        offset_ms=_milliseconds(step.at - first),
        bar_start=round(min(start, 100 - _NARROWEST), 2),
        bar_width=round(width, 2),
        gap_ms=None if gap is None else _milliseconds(gap),
    )


def _milliseconds(span: timedelta) -> float:
    return span / timedelta(milliseconds=1)
