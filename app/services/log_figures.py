"""Figures of the log for charts: rates, latency and what each process used; known from counts."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.logstore import current_store
from app.logstore.contract import Histogram, LogQuery, Point, Recount, Summary
from app.logstore.counts import Buckets, step_for

# Pages and commands take the figures' types from here: they know no store.
__all__ = [
    "Histogram", "Point", "Recount", "Summary", "buckets", "busy_routes", "error_rate",
    "histogram", "latency", "recount",
]  # fmt: skip

_REQUESTS = ("request",)


def error_rate(hours: float = 1) -> float | None:
    """Return the share of requests, 0 to 1, that failed with 5xx; None without any request."""
    requests = _total(_since(hours, actions=_REQUESTS))
    failed = _total(_since(hours, actions=_REQUESTS, status_min=500, status_max=599))
    return failed / requests if requests else None


def latency(hours: float = 1) -> Summary:
    """Return how many requests there were and their p50, p95 and p99 in milliseconds."""
    return current_store().percentiles(_since(hours, actions=_REQUESTS))[0]


def busy_routes(hours: float = 1) -> list[Summary]:
    """Return each route with its requests and their percentiles, most frequent first.

    `values` is the route, None for addresses that no route has.
    """
    return current_store().counted(_since(hours, actions=_REQUESTS), ["route"])


def histogram(query: LogQuery, by: str | None = None, step: int | None = None) -> Histogram:
    """Return a query's chart of 60 to 100 points, or of another `step` in seconds, UTC.

    Without `since` it shows the last day. `by` splits each point by level, action, route or
    status_class. Any filter will do; `contract.LogStore.histogram` says which are looked for in
    the records, and how far back. Raises ValueError for a range of too many steps.
    """
    until = query.until or datetime.now(UTC)
    since = query.since or until - timedelta(days=1)
    return current_store().histogram(
        replace(query, since=since, until=until), step or step_for(until - since), by
    )


def buckets(
    query: LogQuery, fields: Sequence[str] = (), step: int | None = None
) -> dict[tuple[Any, ...], Buckets]:
    """Return how many records are in each bucket, by fields, for many figures at once.

    `contract.LogStore.buckets` says what the fields are, `counts.percentiles` what buckets tell.
    They are the caller's own, to change.
    """
    return current_store().buckets(query, fields, step)


def recount(since: datetime | None = None, *, check: bool = False) -> Recount:
    """Correct the counts by the records there still are; with `check` only compare."""
    return current_store().recount(since, check=check)


def _total(query: LogQuery) -> int:
    return current_store().counted(query)[0].count


def _since(hours: float, **fields: Any) -> LogQuery:
    return LogQuery(since=datetime.now(UTC) - timedelta(hours=hours), **fields)
