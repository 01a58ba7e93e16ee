"""Questions about the log, for pages and commands; knows the store by its contract only."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import current_app

from app.logstore import asking, current_files, current_reader, current_store
from app.logstore.contract import LogQuery, LogStore, Page, StoreUnavailable
from app.logstore.file_store import FileStore, FileUnreadable
from app.logstore.record import KEEPS, time_of

# Pages and commands take the questions' types from here: they know no store.
__all__ = [
    "WITHOUT_SAMPLES", "FileUnreadable", "LogQuery", "Page", "Record", "StoreUnavailable",
    "asking_files", "caused_by", "count_errors", "errors", "every", "get", "get_error_summary",
    "get_failed_logins", "neighbours", "newer", "newest", "not_found", "oldest", "pages",
    "per_hour", "request_story", "runner_status", "search", "slow_queries", "tail", "user_history",
]  # fmt: skip

Record = dict[str, Any]
# One a minute from each process: left out unless asked for.
WITHOUT_SAMPLES = (LogQuery(actions=("sample",)),)
_ERRORS = ("ERROR", "CRITICAL")
_PAGE = 500
_FIRST_ID = "00000000-0000-7000-8000-000000000000"
_LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"


def asking_files(
    paths: Sequence[str], progress: Callable[[int], None] = lambda _bytes: None
) -> AbstractContextManager[None]:
    """Have the questions of a `with` block answered by log files or archives; `-` is stdin.

    Every question reads them once, and tells `progress` how many bytes are read. What cannot be
    read raises FileUnreadable.
    """
    return asking(FileStore(paths, progress))


def search(
    query: LogQuery, before: str | None = None, limit: int = 50, fields: Sequence[str] = ()
) -> Page:
    """Return a page of records, newest first; pass its `next` as `before` for older ones.

    `contract.LogReader.page` says what `fields` are. Raises StoreUnavailable, as every function
    here does.
    """
    return current_reader().page(query, before, limit, fields)


def newest(
    query: LogQuery, limit: int, told: Callable[[datetime], None] = lambda _moment: None
) -> list[Record]:
    """Return up to `limit` records, newest first, going on where a slow search stopped.

    `told` gets the time that it has looked back to.
    """
    records: list[Record] = []
    before = None
    while len(records) < limit:
        page = current_reader().page(query, before, limit - len(records))
        records += page.records
        if page.looked_back_to is not None:
            told(page.looked_back_to)
        if (before := page.next) is None:
            break
    return records


def every(
    query: LogQuery, told: Callable[[datetime], None] = lambda _moment: None
) -> Iterator[Record]:
    """Return all records that fit, one by one: newest first, or as they stand in files."""
    if (files := current_files()) is not None:
        yield from files.records(query)
        return
    for page in pages(query):
        yield from page.records
        if page.next is not None:
            told(page.looked_back_to or time_of(page.next))


def pages(query: LogQuery, before: str | None = None) -> Iterator[Page]:
    """Return all pages of a query, newest first; some may be empty, none is read in advance.

    The store is the present app's, also when the pages are read after its context has gone.
    """
    return _pages(current_store(), query, before)


def newer(query: LogQuery, after: str, limit: int) -> list[Record]:
    """Return the first records newer than the id `after`, oldest first, without a deadline."""
    return current_store().newer(query, after, limit)


def oldest() -> datetime | None:
    """Return the time of the oldest record in the store, None when it is empty."""
    found = [current_store().expired(keep, _LAST_ID, None, 1) for keep in KEEPS]
    return min((time_of(records[0]["id"]) for records in found if records), default=None)


def tail(query: LogQuery, cursor: str | None = None, limit: int = 200) -> tuple[list[Record], str]:
    """Return what was stored since `cursor`, oldest first, and the cursor for the next call.

    Without a cursor: the newest `limit` records, to follow from there.
    """
    return current_reader().after(query, cursor, limit)


def get(record_id: str) -> Record | None:
    """Return one record, None when there is none or the id is not one."""
    return current_reader().get(record_id)


def runner_status() -> Any:
    """Return what the runner of this host last said of itself, None when there is nothing."""
    read: Callable[[], Any] = current_app.extensions.get("runner_status", lambda: None)
    return read()


def request_story(request_id: str, limit: int = 2000) -> tuple[list[Record], int]:
    """Return what one request or job run said, oldest first, and how much of it is left out.

    Of more than `limit` records the middle is left out: how it began and how it ended tell most.
    """
    query = LogQuery(request_id=request_id)
    records = newest(query, limit + 1)[::-1]
    if len(records) <= limit:
        return records, 0
    begin = newer(query, _FIRST_ID, limit // 2)
    end = records[-(limit - limit // 2) :]
    total = sum(count for _, count in current_store().count_by(query, "request_id"))
    return begin + end, max(total - limit, 1)


def neighbours(request: Mapping[str, Any]) -> tuple[Record | None, Record | None]:
    """Return the request of the same user before a `request` record, and the one after it."""
    if request.get("user_id") is None:
        return None, None
    query = LogQuery(user_id=request["user_id"], actions=("request",))
    before = current_store().page(query, request["id"], 1).records
    after = current_store().newer(query, request["id"], 1)
    found = (next((one for one in some if one["request_id"]), None) for some in (before, after))
    return next(found), next(found)


def caused_by(request_id: str, limit: int = 200) -> list[Record]:
    """Return what jobs and requests did that name this request as their parent, oldest first."""
    query = LogQuery(equal=(("parent_request_id", request_id),))
    return current_store().page(query, None, limit).records[::-1]


def get_error_summary(hours: float = 24) -> list[dict[str, Any]]:
    """Return errors by action, exception type and place, most frequent first.

    Each has action (the operation, job or route that failed), exception_type, place (or the
    logger, for records without exception), count, last_seen and last_id.
    """
    fields = ("action", "details.operation", "details.job", "route",
              "exception.type", "details.place", "logger")  # fmt: skip
    totals: dict[tuple[Any, ...], dict[str, Any]] = {}
    for group in current_reader().group_by(_since(hours, levels=_ERRORS), fields, limit=1000):
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
    return newest(_since(hours, actions=("login_failed",)), limit)


def errors(hours: float = 1, limit: int = 1000) -> list[Record]:
    """Return the records of level ERROR and up of the last hours, newest first."""
    return newest(_since(hours, levels=_ERRORS), limit)


def slow_queries(hours: float = 24, limit: int = 1000) -> list[Record]:
    """Return the slow-query records of the last hours, newest first."""
    return newest(_since(hours, actions=("slow_query",)), limit)


def not_found(hours: float = 24) -> list[tuple[str, int]]:
    """Return the paths that answered 404 with how often, most frequent first."""
    query = _since(hours, actions=("request",), status_min=404, status_max=404)
    return current_reader().count_by(query, "path")


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
    return current_reader().page(query, before, limit)


def count_errors(hours: float = 1) -> int:
    """Return how many `error` records the last hours have, to the minute in which they began.

    Records of a clock that was ahead count when their time has come.
    """
    until = datetime.now(UTC)
    query = _since(hours, until=until, actions=("error",), levels=_ERRORS)
    return current_store().counted(query)[0].count


def per_hour(hours: int = 24, levels: tuple[str, ...] = _ERRORS) -> list[tuple[datetime, int]]:
    """Return each of the last hours (UTC, the running one included) with its count, oldest first.

    Counts errors unless `levels` says otherwise; `()` counts every record.
    """
    this_hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    first = this_hour - timedelta(hours=hours - 1)
    query = LogQuery(levels=levels, since=first, until=this_hour + timedelta(hours=1))
    if (files := current_files()) is not None:
        counts = files.count_steps(query, 3600)
        steps = (first + timedelta(hours=number) for number in range(hours))
        return [(step, counts.get(int(step.timestamp()), 0)) for step in steps]
    return [(one.start, one.count) for one in current_store().histogram(query, 3600).points]


def _pages(store: LogStore, query: LogQuery, before: str | None) -> Iterator[Page]:
    while True:
        page = store.page(query, before, _PAGE)
        yield page
        if (before := page.next) is None:
            return


def _since(hours: float, **fields: Any) -> LogQuery:
    return LogQuery(since=_ago(hours), **fields)


def _ago(hours: float) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


def _stamp(entry: dict[str, Any]) -> float:
    last_seen: datetime = entry["last_seen"]
    return last_seen.timestamp()
