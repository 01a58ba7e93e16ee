"""Read any store: newest first in slices under a deadline, or in the order of storing."""

import base64
import binascii
import time
from typing import Any, Protocol

import orjson

from app.logstore.contract import LogQuery, Page
from app.logstore.matching import holds
from app.logstore.record import time_of, valid_id

_FIRST_SLICE = 1_000
# A search looks at the clock between two slices: a longer one would end long after its time.
_LAST_SLICE = 4_000
_TAIL_SLICE = 5_000


class Reader(Protocol):
    """Read the records of one query from one store."""

    @property
    def scans(self) -> bool:
        """Tell whether records have to be looked at that an index does not tell apart."""

    def rows(self, before: str | None, edge: str | None, limit: int) -> list[dict[str, Any]]:
        """Return the newest records that match, older than `before`, not older than `edge`."""

    def newer(self, after: str, limit: int) -> list[dict[str, Any]]:
        """Return the oldest records that match, newer than `after`, oldest first."""

    def edge(self, before: str | None, size: int) -> str | None:
        """Return the id `size` records before `before`, whether they match or not.

        None when there are fewer.
        """

    def ends(self) -> dict[str, int]:
        """Return the last number that each host's shipper has committed."""

    def between(self, source: str, last: int, upto: int, limit: int) -> list[dict[str, Any]]:
        """Return records that match, numbered from `last` + 1 to `upto`, in that order."""


def read_page(
    reader: Reader, query: LogQuery, before: str | None, limit: int, deadline: float
) -> Page:
    """Return up to `limit` records older than `before`; a search may stop after `deadline` s."""
    cursor = valid_id(before)
    if not reader.scans:
        return _page(reader.rows(cursor, None, limit + 1), limit)
    end = time.monotonic() + deadline
    found: list[dict[str, Any]] = []
    size = _FIRST_SLICE
    while True:
        edge = reader.edge(cursor, size)
        wanted = limit + 1 - len(found)
        rows = reader.rows(cursor, edge, wanted)
        found += [row for row in rows if holds(query, row)]
        if len(found) > limit:
            return _page(found, limit)
        if len(rows) == wanted:
            # Some of them did not match after all: what lies behind them in the slice is unseen.
            cursor = rows[-1]["id"]
        elif edge is None:
            return Page(found)
        else:
            cursor = edge
        if time.monotonic() >= end and cursor is not None:
            return Page(found, cursor, time_of(cursor))
        size = min(size * 2, _LAST_SLICE)


def read_newer(reader: Reader, query: LogQuery, after: str, limit: int) -> list[dict[str, Any]]:
    """Return up to `limit` records newer than `after`, oldest first."""
    found: list[dict[str, Any]] = []
    cursor = valid_id(after)
    while cursor is not None and len(found) < limit:
        wanted = limit - len(found)
        rows = reader.newer(cursor, wanted)
        found += [row for row in rows if holds(query, row)]
        cursor = rows[-1]["id"] if len(rows) == wanted else None
    return found


def read_after(
    reader: Reader, query: LogQuery, cursor: str | None, limit: int, deadline: float
) -> tuple[list[dict[str, Any]], str]:
    """Return up to `limit` records stored since `cursor`, and the next cursor."""
    ends = reader.ends()
    seen = _decode(cursor)
    if seen is None:
        page = read_page(reader, query, None, limit, deadline)
        # What was stored after the ends were read comes with the next call.
        known = [one for one in page.records if one["seq"] <= ends.get(one["source"], 0)]
        return known[::-1], _encode(ends)
    stop = time.monotonic() + deadline
    found: list[dict[str, Any]] = []
    # Each host gets one slice even when time is up, or the last of them would wait forever.
    for source, end in ends.items():
        # A store that was emptied counts anew.
        last = min(seen.get(source, 0), end)
        while last < end and len(found) < limit:
            upto, wanted = min(last + _TAIL_SLICE, end), limit - len(found)
            rows = reader.between(source, last, upto, wanted)
            last = rows[-1]["seq"] if len(rows) == wanted else upto
            found += [row for row in rows if holds(query, row)]
            if time.monotonic() >= stop:
                break
        seen[source] = last
    return found, _encode(seen)


def _page(records: list[dict[str, Any]], limit: int) -> Page:
    more = len(records) > limit
    records = records[:limit]
    return Page(records, records[-1]["id"] if more and records else None)


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
