"""What stands out in the log: the slowest routes, statements, probable N+1s, errors and users.

Routes are known from counts. All else is told by the newest records of the window, at most
LOOKED_AT of each kind, so that it costs the same however many there are. Requests of whoever reads
the log are left out: they would push out the others within a few minutes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.logstore.counts import merged, percentiles
from app.logstore.record import time_of, to_timestamp
from app.services import log_figures, log_service
from app.services.log_service import LogQuery, Record

LOOKED_AT = 100
REQUESTS_LOOKED_AT = 200
# Of so many requests at most, so that it costs little when all of them are of reading the log.
_PASSES = 5
_OF_SLOW = ("statement", "duration_ms", "request_id")
_OF_ERRORS = (
    "message", "exception_type", "exception_message", "exception_fingerprint", "details"
)  # fmt: skip
_OF_REQUESTS = ("route", "status", "user_id", "account", "request_id", "details")
_READING = ("/admin", "/api/logs")
_SHOWN = 6
_WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Route:
    """A route with its requests; `error_percent` of them failed. None is any without a route."""

    route: str | None
    count: int
    p95_ms: float | None
    error_percent: float


@dataclass(frozen=True)
class Statement:
    """The shape of a slow statement, what its runs took, and the request of the last one."""

    statement: str
    count: int
    total_ms: float
    max_ms: float
    request_id: str | None


@dataclass(frozen=True)
class Repeat:
    """A probable N+1: a line that asked `most` times in a request, and the last such request."""

    line: str
    statement: str
    most: int
    requests: int
    request_id: str | None


@dataclass(frozen=True)
class Failure:
    """An error by its fingerprint; `record_id` is the last one."""

    fingerprint: str
    type: str
    message: str
    place: str | None
    count: int
    last_seen: str
    record_id: str


@dataclass(frozen=True)
class Person:
    """A user with the number of requests, and how many of them failed."""

    user_id: str | None
    account: str | None
    count: int
    errors: int


@dataclass(frozen=True)
class Standouts:
    """Everything that stands out; `looked_at` says of how many records of each action.

    Routes are of the time since `routes_since`. No request looked at is one of reading the log.
    """

    routes: list[Route]
    routes_since: datetime
    statements: list[Statement]
    repeats: list[Repeat]
    failures: list[Failure]
    people: list[Person]
    looked_at: Mapping[str, int]


def standouts(since: datetime, until: datetime) -> Standouts:
    """Return what stands out between two moments; of routes, in the last week at most."""
    # Whole days then: by route there are many counts to an hour.
    last = until - timedelta(seconds=1)
    week = last.replace(hour=0, minute=0, second=0) - _WEEK
    routes_since = since if until - since < _WEEK else week
    # With their level they are of one keep class, and of one stretch of PostgreSQL's partitions.
    slow = _newest(_asked("slow_query", "WARNING", since), LOOKED_AT, _OF_SLOW)
    errors = _newest(_asked("error", "ERROR", since), LOOKED_AT, _OF_ERRORS)
    requests = _requests_of_others(_asked("request", "INFO", since))
    return Standouts(
        routes=slowest_routes(routes_since, until),
        routes_since=routes_since,
        statements=slowest_statements(slow),
        repeats=probable_n_plus_ones(requests),
        failures=top_errors(errors),
        people=busiest_users(requests),
        looked_at={"slow_query": len(slow), "error": len(errors), "request": len(requests)},
    )


def slowest_routes(since: datetime, until: datetime) -> list[Route]:
    """Return the routes by p95, the slowest first."""
    query = LogQuery(actions=("request",), since=since, until=until)
    counted = log_figures.buckets(query, ["route", "status_class"])
    failed: Counter[str | None] = Counter()
    for (route, status_class), buckets in counted.items():
        failed[route] += sum(buckets.values()) if status_class == 5 else 0
    by_route = merged((route, buckets) for (route, _), buckets in counted.items())
    found = [
        Route(route, total, percentiles(buckets, [0.95])[0.95], 100 * failed[route] / total)
        for route, buckets in by_route.items()
        if (total := sum(buckets.values()))
    ]
    return sorted(found, key=lambda one: -(one.p95_ms or 0))[:_SHOWN]


def slowest_statements(records: Iterable[Record]) -> list[Statement]:
    """Sum slow statements up by their shape, those that cost most first; records newest first."""
    by_shape: dict[str, list[Record]] = defaultdict(list)
    for one in records:
        if one["statement"]:
            by_shape[one["statement"]].append(one)
    found = []
    for statement, runs in by_shape.items():
        took = [one["duration_ms"] or 0.0 for one in runs]
        found.append(
            Statement(statement, len(runs), sum(took), max(took), _first(runs, "request_id"))
        )
    return sorted(found, key=lambda one: -one.total_ms)[:_SHOWN]


def probable_n_plus_ones(records: Iterable[Record]) -> list[Repeat]:
    """Sum repeated statements up by the line that asks, the most repeated first."""
    by_line: dict[tuple[str, str], list[tuple[int, Record]]] = defaultdict(list)
    for one in records:
        for told in _told_repeats(one):
            by_line[str(told.get("line")), str(told.get("statement"))].append((told["count"], one))
    found = [
        Repeat(line, statement, max(count for count, _ in times), len(times),
               times[0][1]["request_id"])
        for (line, statement), times in by_line.items()
    ]  # fmt: skip
    return sorted(found, key=lambda one: -one.most * one.requests)[:_SHOWN]


def _told_repeats(record: Record) -> list[dict[str, Any]]:
    told = record["details"].get("n_plus_one")
    repeats = told if isinstance(told, list) else []
    return [one for one in repeats if isinstance(one, dict) and type(one.get("count")) is int]


def top_errors(records: Iterable[Record]) -> list[Failure]:
    """Count errors by fingerprint, most frequent first; records newest first."""
    by_print: dict[str, list[Record]] = defaultdict(list)
    for one in records:
        if fingerprint := one["exception_fingerprint"]:
            by_print[fingerprint].append(one)
    found = [
        Failure(
            fingerprint,
            type=times[0]["exception_type"] or times[0]["message"],
            message=times[0]["exception_message"] or "",
            place=times[0]["details"].get("place"),
            count=len(times),
            last_seen=to_timestamp(time_of(times[0]["id"])),
            record_id=times[0]["id"],
        )
        for fingerprint, times in by_print.items()
    ]
    return sorted(found, key=lambda one: -one.count)[:_SHOWN]


def busiest_users(records: Iterable[Record]) -> list[Person]:
    """Count requests by user, most first; those of nobody logged in are left out."""
    by_user: dict[str, list[Record]] = defaultdict(list)
    for one in records:
        if who := one["user_id"] or one["account"]:
            by_user[who].append(one)
    found = [
        Person(
            user_id=_first(did, "user_id"),
            account=_first(did, "account"),
            count=len(did),
            errors=sum((one["status"] or 0) >= 500 for one in did),
        )
        for did in by_user.values()
    ]
    return sorted(found, key=lambda one: -one.count)[:_SHOWN]


def _asked(action: str, level: str, since: datetime) -> LogQuery:
    return LogQuery(actions=(action,), levels=(level,), since=since)


def _newest(query: LogQuery, limit: int, fields: Sequence[str]) -> list[Record]:
    return log_service.search(query, limit=limit, fields=fields).records


def _requests_of_others(query: LogQuery) -> list[Record]:
    """Return the newest requests but those of reading the log, which may be most of the newest."""
    found: list[Record] = []
    before = None
    for _ in range(_PASSES):
        page = log_service.search(query, before, REQUESTS_LOOKED_AT, _OF_REQUESTS)
        found += [one for one in page.records if not _is_of_reading(one["route"])]
        before = page.next
        # Half of them will do: nearly always that is the first question.
        if before is None or len(found) >= REQUESTS_LOOKED_AT // 2:
            break
    return found


def _is_of_reading(route: str | None) -> bool:
    # Not for the store to leave out: no index has the routes of the newest requests.
    return any(route == one or (route or "").startswith(f"{one}/") for one in _READING)


def _first(records: Sequence[Record], name: str) -> Any:
    return next((one[name] for one in records if one[name]), None)
