"""Records as NDJSON or CSV: one by one for a command, or as a stream that says where it was cut."""

import csv
import io
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson

from app.observability.log_formatters import to_json
from app.services import log_service
from app.services.log_service import LogQuery, Page, Record

FORMATS = ("ndjson", "csv")
COLUMNS = (
    "id", "timestamp", "level", "logger", "message", "action", "request_id", "parent_request_id",
    "user_id", "account", "method", "path", "route", "status", "duration_ms", "db_ms", "db_count",
    "remote_addr", "host", "pid", "release", "target_type", "target_id", "outcome", "statement",
    "exception_type", "exception_message", "exception_traceback", "exception_fingerprint",
    "details", "keep", "source", "seq",
)  # fmt: skip
MOST_RECORDS = 1_000_000
MOST_SECONDS = 300
# What a spreadsheet takes for a formula; an apostrophe in front makes it text.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def stream(
    query: LogQuery, form: str, before: str | None, rest: Callable[[str], str]
) -> Iterator[bytes]:
    """Return all records of a query in pieces of a page each, newest first.

    What is too much, or takes too long, is cut: the last line then says so, with the address of
    the `rest` behind a record's id. The store is asked for the first page at once, so that one
    that does not answer is known before the first byte, and needs no context of the app later.
    """
    pages = log_service.pages(query, before)
    first = next(pages)
    return _pieces(first, pages, form, rest)


def json_line(values: Mapping[str, Any]) -> str:
    """Return an object as one line; absent fields are absent, as in the log file."""
    kept = {name: value for name, value in values.items() if value is not None}
    return to_json(kept).decode()


def csv_lines(records: Iterable[Record]) -> Iterator[str]:
    """Return the lines of a table, the names of its columns first."""
    yield ",".join(COLUMNS)
    yield from map(_csv_line, records)


def _pieces(
    page: Page, later: Iterator[Page], form: str, rest: Callable[[str], str]
) -> Iterator[bytes]:
    line = json_line if form == "ndjson" else _csv_line
    stop, count = time.monotonic() + MOST_SECONDS, 0
    if form == "csv":
        yield _encoded([",".join(COLUMNS)])
    while True:
        count += len(page.records)
        yield _encoded(map(line, page.records))
        if page.next is None:
            return
        if count >= MOST_RECORDS or time.monotonic() >= stop:
            said = f"cut after {count} records; the rest is at {rest(page.next)}"
            yield _encoded([json_line({"cut": said}) if form == "ndjson" else f'"# {said}"'])
            return
        page = next(later)


def _encoded(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _csv_line(record: Record) -> str:
    line = io.StringIO()
    # With its line end, or it would not see that one within a value needs quotation marks.
    csv.writer(line, lineterminator="\r\n").writerow(map(_cell, _values(record)))
    return line.getvalue().removesuffix("\r\n")


def _values(record: Mapping[str, Any]) -> list[Any]:
    exception = {f"exception_{k}": v for k, v in (record["exception"] or {}).items()}
    details = orjson.dumps(record["details"]).decode()
    flat = {**record, **exception, "details": details}
    return [flat.get(name) for name in COLUMNS]


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
