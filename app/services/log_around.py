"""Records before and after one: of everything, or of the same host, process or request."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from app.logstore.record import time_of
from app.services import log_service
from app.services.log_service import WITHOUT_SAMPLES, LogQuery, Record

OF = {"all": "everything", "host": "the same host", "process": "the same process",
      "request": "the same request"}  # fmt: skip
SIZE = 25
# No index tells hosts apart: what is further away is not looked for.
NEAR = timedelta(minutes=10)
_SLICE = 250


@dataclass(frozen=True)
class Around:
    """What came after a record and what came before it, both newest first."""

    after: list[Record]
    before: list[Record]


def choices(record: Record) -> list[str]:
    """Return of what a record has neighbours: one without a host has none of its host."""
    has = {"all": True, "host": record["host"], "request": record["request_id"],
           "process": record["host"] and record["pid"]}  # fmt: skip
    return [one for one in OF if has[one]]


def around(record: Record, of: str) -> Around:
    """Return up to `SIZE` records before a record and as many after it.

    Of a host or process only those of ten minutes before and after.
    """
    query, fits = _query(record, of)
    return Around(_after(query, record["id"], fits), _before(query, record["id"], fits))


def _query(record: Record, of: str) -> tuple[LogQuery, Callable[[Record], bool]]:
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


def _before(query: LogQuery, record_id: str, fits: Callable[[Record], bool]) -> list[Record]:
    found: list[Record] = []
    for page in log_service.pages(query, record_id):
        found += filter(fits, page.records)
        if len(found) >= SIZE:
            break
    return found[:SIZE]


def _after(query: LogQuery, record_id: str, fits: Callable[[Record], bool]) -> list[Record]:
    found: list[Record] = []
    while len(found) < SIZE:
        records = log_service.newer(query, record_id, _SLICE)
        found += filter(fits, records)
        if len(records) < _SLICE:
            break
        record_id = records[-1]["id"]
    return found[:SIZE][::-1]
