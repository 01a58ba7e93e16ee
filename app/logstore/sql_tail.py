"""Follow the SQL log store in the order of storing, host by host."""

import base64
import binascii
import time
from typing import Any

import orjson
from sqlalchemy import Connection, func, select

from app.logstore.contract import LogQuery
from app.logstore.matching import has_text
from app.logstore.rows import from_row
from app.logstore.sql_filters import indexed, scanned
from app.logstore.sql_pages import read_page
from app.models.log import Log, LogCheckpoint

_SLICE = 5_000
_TABLE: Any = Log.__table__


def read_after(
    connection: Connection, query: LogQuery, cursor: str | None, limit: int, deadline: float
) -> tuple[list[dict[str, Any]], str]:
    """Return up to `limit` records stored since `cursor`, and the next cursor."""
    ends = _ends(connection)
    seen = _decode(cursor)
    if seen is None:
        page = read_page(connection, query, None, limit, deadline)
        # What was stored after the ends were read comes with the next call.
        known = [one for one in page.records if one["seq"] <= ends.get(one["source"], 0)]
        return known[::-1], _encode(ends)
    stop = time.monotonic() + deadline
    found: list[dict[str, Any]] = []
    for source, end in ends.items():
        # A store that was emptied counts anew.
        last = min(seen.get(source, 0), end)
        while last < end and len(found) < limit:
            upto, wanted = min(last + _SLICE, end), limit - len(found)
            rows = _between(connection, query, source, last, upto, wanted)
            last = rows[-1]["seq"] if len(rows) == wanted else upto
            found += [row for row in rows if has_text(query, row)]
            if time.monotonic() >= stop:
                break
        seen[source] = last
    return found, _encode(seen)


def _between(
    connection: Connection, query: LogQuery, source: str, last: int, upto: int, limit: int
) -> list[dict[str, Any]]:
    statement = (
        select(*_TABLE.c)
        .where(Log.source == source, Log.seq > last, Log.seq <= upto)
        .where(*indexed(query), *scanned(query))
        .order_by(Log.seq)
        .limit(limit)
    )
    return [from_row(row) for row in connection.execute(statement).mappings()]


def _ends(connection: Connection) -> dict[str, int]:
    """Return the last number that each host's shipper has committed."""
    statement = (
        select(LogCheckpoint.source, func.max(LogCheckpoint.next_seq) - 1)
        .group_by(LogCheckpoint.source)
        .order_by(LogCheckpoint.source)
    )
    return {source: int(end) for source, end in connection.execute(statement)}


def _encode(seen: dict[str, int]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(seen)).decode().rstrip("=")


def _decode(cursor: str | None) -> dict[str, int] | None:
    """Return the numbers in a cursor, None for no cursor and for what is none."""
    if not cursor:
        return None
    try:
        seen = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        return None
    if not isinstance(seen, dict) or not all(type(value) is int for value in seen.values()):
        return None
    return {source: max(value, 0) for source, value in seen.items()}
