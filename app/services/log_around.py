"""Records before and after one: of everything, or of the same host, process or request."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.logstore.record import time_of
from app.services import log_service
from app.services.log_service import WITHOUT_SAMPLES, LogQuery, Record

OF = {"all": "everything", "host": "the same host", "process": "the same process",
      "request": "the same request"}  # fmt: skip
SIZE = 25
# No index tells hosts apart: what is further away is not looked for.
NEAR = timedelta(minutes=10)
_SLICE = 250
# How long it looks in each direction, and the first stretch that it looks at ahead.
_SECONDS = 0.06
_FIRST_STRETCH = timedelta(seconds=10)
_Fits = Callable[[Record], bool]
# Records, and how far was looked if there was no time for more.
_Some = tuple[list[Record], datetime | None]


@dataclass(frozen=True)
class Around:
    """What came after a record and what came before it, both newest first.

    `ahead_to` and `back_to` are set when there was no time to look further.
    """

    after: list[Record]
    before: list[Record]
    ahead_to: datetime | None = None
    back_to: datetime | None = None


def choices(record: Record) -> list[str]:
    """Return of what a record has neighbours: one without a host has none of its host."""
    has = {"all": True, "host": record["host"], "request": record["request_id"],
           "process": record["host"] and record["pid"]}  # fmt: skip
    return [one for one in OF if has[one]]


def around(record: Record, of: str) -> Around:
    """Return up to `SIZE` records before a record and as many after it, found in a moment.

    Of a host or process only those of ten minutes before and after.
    """
    query, fits = _query(record, of)
    after, ahead_to = _after(query, record["id"], fits)
    before, back_to = _before(query, record["id"], fits)
    return Around(after[::-1], before, ahead_to, back_to)


def _query(record: Record, of: str) -> tuple[LogQuery, _Fits]:
    if of == "request":
        return LogQuery(request_id=record["request_id"]), lambda _other: True
    query = LogQuery(without=WITHOUT_SAMPLES)
    if of == "all":
        return query, lambda _other: True
    moment = time_of(record["id"])
    near = replace(
        query, equal=(("host", record["host"]),), since=moment - NEAR, until=moment + NEAR
    )
    return near, lambda other: of == "host" or other["pid"] == record["pid"]


def _before(query: LogQuery, record_id: str, fits: _Fits) -> _Some:
    stop = time.monotonic() + _SECONDS
    found: list[Record] = []
    back_to = None
    for page in log_service.pages(query, record_id):
        found += filter(fits, page.records)
        if len(found) >= SIZE or page.next is None:
            break
        if time.monotonic() >= stop:
            back_to = page.looked_back_to or time_of(page.next)
            break
    return found[:SIZE], back_to


def _after(query: LogQuery, record_id: str, fits: _Fits) -> _Some:
    """Look ahead while there is time.

    For a host or process, which no index tells apart, in stretches that grow.
    """
    stop = time.monotonic() + _SECONDS
    found: list[Record] = []
    stretch, low = _FIRST_STRETCH, time_of(record_id)
    while True:
        high = low + stretch if query.until and low + stretch < query.until else None
        within = replace(query, since=low, until=high or query.until)
        records = log_service.newer(within, record_id, _SLICE)
        found += filter(fits, records)
        if len(records) == _SLICE:
            record_id = records[-1]["id"]
            low = time_of(record_id)
        elif high is None:
            return found[:SIZE], None
        else:
            low, stretch = high, stretch * 4
        if len(found) >= SIZE:
            return found[:SIZE], None
        if time.monotonic() >= stop:
            return found, low
