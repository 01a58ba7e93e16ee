"""Questions about the log, for pages and commands; knows the store by its contract only."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import current_app

from app.logstore import current_store
from app.logstore.contract import (
    Histogram,
    LogQuery,
    Page,
    Recount,
    StoreUnavailable,
    Summary,
)
from app.logstore.counts import step_for

# Pages and commands take the questions' types from here: they know no store.
__all__ = [
    "Histogram", "LogQuery", "Page", "Record", "Recount", "StoreUnavailable", "Summary",
    "busy_routes", "count_errors", "error_rate", "errors", "get", "get_error_summary",
    "get_failed_logins", "histogram", "latency", "not_found", "per_hour", "recount",
    "request_story", "runner_status", "samples", "search", "slow_queries", "tail", "user_history",
]  # fmt: skip

Record = dict[str, Any]
_ERRORS = ("ERROR", "CRITICAL")
_REQUESTS = ("request",)
# A process writes one each minute; after two without any it is gone.
_SAMPLE_AGE = timedelta(minutes=2)
_SAMPLES = 100


def search(query: LogQuery, before: str | None = None, limit: int = 50) -> Page:
    """Return a page of records, newest first; pass its `next` as `before` for older ones.

    Raises StoreUnavailable, as every function here does.
    """
    return current_store().page(query, before, limit)


def tail(query: LogQuery, cursor: str | None = None, limit: int = 200) -> tuple[list[Record], str]:
    """Return what was stored since `cursor`, oldest first, and the cursor for the next call.

    Without a cursor: the newest `limit` records, to follow from there.
    """
    return current_store().after(query, cursor, limit)


def get(record_id: str) -> Record | None:
    """Return one record, None when there is none or the id is not one."""
    return current_store().get(record_id)


def runner_status() -> Any:
    """Return what the runner of this host last said of itself, None when there is nothing."""
    read: Callable[[], Any] = current_app.extensions.get("runner_status", lambda: None)
    return read()


def request_story(request_id: str, limit: int = 2000) -> list[Record]:
    """Return everything that one request or job run said, oldest first."""
    query = LogQuery(request_id=request_id)
    records: list[Record] = []
    before = None
    while len(records) < limit:
        page = current_store().page(query, before, min(500, limit - len(records)))
        records += page.records
        if (before := page.next) is None:
            break
    return records[::-1]


def get_error_summary(hours: float = 24) -> list[dict[str, Any]]:
    """Return errors by action, exception type and place, most frequent first.

    Each has action (the operation, job or route that failed), exception_type, place (or the
    logger, for records without exception), count, last_seen and last_id.
    """
    fields = ("action", "details.operation", "details.job", "route",
              "exception.type", "details.place", "logger")  # fmt: skip
    totals: dict[tuple[Any, ...], dict[str, Any]] = {}
    for group in current_store().group_by(_since(hours, levels=_ERRORS), fields, limit=1000):
        action, operation, job, route, exception_type, place, logger = group.values
        did = operation or job or (action if action != "error" else route) or action
        key = (did, exception_type, place or logger)
        entry = totals.setdefault(key, {
            "action": did, "exception_type": exception_type, "place": place or logger,
            "count": 0, "last_seen": group.last_seen, "last_id": group.last_id,
        })  # fmt: skip
        entry["count"] += group.count
        if group.last_id > entry["last_id"]:
            entry |= {"last_seen": group.last_seen, "last_id": group.last_id}
    return sorted(totals.values(), key=lambda entry: (-entry["count"], -_stamp(entry)))


def get_failed_logins(hours: float = 24, limit: int = 1000) -> list[Record]:
    """Return the failed logins of the last hours, newest first."""
    return _all(_since(hours, actions=("login_failed",)), limit)


def errors(hours: float = 1, limit: int = 1000) -> list[Record]:
    """Return the records of level ERROR and up of the last hours, newest first."""
    return _all(_since(hours, levels=_ERRORS), limit)


def slow_queries(hours: float = 24, limit: int = 1000) -> list[Record]:
    """Return the slow-query records of the last hours, newest first."""
    return _all(_since(hours, actions=("slow_query",)), limit)


def not_found(hours: float = 24) -> list[tuple[str, int]]:
    """Return the paths that answered 404 with how often, most frequent first."""
    query = _since(hours, actions=("request",), status_min=404, status_max=404)
    return current_store().count_by(query, "path")


def user_history(
    user_id: str | None = None,
    account: str | None = None,
    hours: float | None = None,
    before: str | None = None,
    limit: int = 50,
) -> Page:
    """Return a page of what one user did, by id or by account name, newest first.

    An account name also finds failed logins, which have no user id.
    """
    since = None if hours is None else _ago(hours)
    query = LogQuery(user_id=user_id, account=account, since=since)
    return current_store().page(query, before, limit)


def count_errors(hours: float = 1) -> int:
    """Return how many `error` records the last hours have, to the minute in which they began."""
    return _total(_since(hours, actions=("error",), levels=_ERRORS))


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


def samples(hours: float = 1) -> list[tuple[datetime, list[Record]]]:
    """Return points of time, oldest first, each with every process's newest sample before it.

    A sample older than a step, or than two minutes, is no news; `details` has its figures. There
    are at most 100 points, and at most as many samples to a point.
    """
    now = datetime.now(UTC)
    window = timedelta(hours=hours)
    step = timedelta(seconds=step_for(window))
    points = [now - step * back for back in range(math.ceil(window / step))]
    return [(at, _newest_samples(at, step)) for at in reversed(points)]


def _newest_samples(at: datetime, step: timedelta) -> list[Record]:
    query = LogQuery(actions=("sample",), since=at - max(step, _SAMPLE_AGE), until=at)
    newest: dict[tuple[Any, Any], Record] = {}
    for one in current_store().page(query, None, _SAMPLES).records:
        newest.setdefault((one["host"], one["pid"]), one)
    return list(newest.values())


def recount(since: datetime | None = None, *, check: bool = False) -> Recount:
    """Correct the counts by the records there still are; with `check` only compare."""
    return current_store().recount(since, check=check)


def per_hour(hours: int = 24, levels: tuple[str, ...] = _ERRORS) -> list[tuple[datetime, int]]:
    """Return each of the last hours (UTC, the running one included) with its count, oldest first.

    Counts errors unless `levels` says otherwise; `()` counts every record.
    """
    this_hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    first, end = this_hour - timedelta(hours=hours - 1), this_hour + timedelta(hours=1)
    query = LogQuery(levels=levels, since=first, until=end)
    return [(one.start, one.count) for one in current_store().histogram(query, 3600).points]


def _total(query: LogQuery) -> int:
    return current_store().counted(query)[0].count


def _all(query: LogQuery, limit: int) -> list[Record]:
    """Return up to `limit` records, going on where a slow search stopped."""
    records: list[Record] = []
    before = None
    while len(records) < limit:
        page = current_store().page(query, before, limit - len(records))
        records += page.records
        if (before := page.next) is None:
            break
    return records


def _since(hours: float, **fields: Any) -> LogQuery:
    return LogQuery(since=_ago(hours), **fields)


def _ago(hours: float) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


def _stamp(entry: dict[str, Any]) -> float:
    last_seen: datetime = entry["last_seen"]
    return last_seen.timestamp()
