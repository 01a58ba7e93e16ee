"""Ask log files, rotated segments and archives what the log store is asked; plain or gzip."""

import gzip
import heapq
import io
import itertools
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from app.logstore.contract import Group, LogQuery, Page, StoreUnavailable
from app.logstore.field_limits import EXCEPTION_TEXTS
from app.logstore.matching import matches
from app.logstore.record import LogRecord, normalise, time_of, valid_id
from app.logstore.segments import LONGEST_LINE, digest_of, id_in, records_of

STDIN = "-"
_GZIP = b"\x1f\x8b"
_LINES_BETWEEN_REPORTS = 1_000
_FIELDS = {*LogRecord.__annotations__, "source", "seq"} - {"exception", "details"}


class FileUnreadable(StoreUnavailable):
    """Say which file cannot be read and why."""


class FileStore:
    """Read records from `paths`, `-` is standard input; `contract.LogReader` says what each does.

    A question is one pass over all files, and only what it asks for is kept in memory. `progress`
    is told how many bytes of the files are read.
    """

    def __init__(
        self, paths: Sequence[str], progress: Callable[[int], None] = lambda _bytes: None
    ) -> None:
        self._paths = paths
        self._progress = progress

    def records(self, query: LogQuery) -> Iterator[dict[str, Any]]:
        """Return what the query selects, each record once, in the order of the files."""
        seen: set[bytes] = set()
        for record in self._selected(query):
            if len(self._paths) > 1:
                # A line of error.log stands in app.log as well, and may be in an archive.
                key = bytes.fromhex(record["id"].replace("-", ""))
                if key in seen:
                    continue
                seen.add(key)
            yield record

    def page(
        self,
        query: LogQuery,
        before: str | None = None,
        limit: int = 50,
        fields: Sequence[str] = (),  # noqa: ARG002
    ) -> Page:
        newest: list[tuple[str, dict[str, Any]]] = []
        held: set[str] = set()
        cursor = valid_id(before)
        for record in self._selected(query):
            record_id = record["id"]
            if record_id in held or (cursor and record_id >= cursor):
                continue
            held.add(record_id)
            if len(newest) <= limit:
                heapq.heappush(newest, (record_id, record))
            else:
                held.discard(heapq.heappushpop(newest, (record_id, record))[0])
        records = [record for _, record in sorted(newest, reverse=True)]
        more = len(records) > limit
        records = records[:limit]
        return Page(records, records[-1]["id"] if more and records else None)

    def newer(
        self,
        query: LogQuery,
        after: str,
        limit: int = 50,
        fields: Sequence[str] = (),  # noqa: ARG002
    ) -> list[dict[str, Any]]:
        cursor = valid_id(after) or ""
        later = (one for one in self.records(query) if one["id"] > cursor)
        return heapq.nsmallest(limit, later, key=itemgetter("id"))

    def after(
        self, query: LogQuery, cursor: str | None = None, limit: int = 200
    ) -> tuple[list[dict[str, Any]], str]:
        # Files are asked once: there is nothing to follow.
        return ([] if cursor is not None else self.page(query, None, limit).records[::-1]), ""

    def get(self, record_id: str) -> dict[str, Any] | None:
        known = valid_id(record_id)
        return next((one for one in self._selected(LogQuery()) if one["id"] == known), None)

    def count_by(self, query: LogQuery, field: str) -> list[tuple[Any, int]]:
        groups = self.group_by(query, [field])
        return [(group.values[0], group.count) for group in groups]

    def group_by(self, query: LogQuery, fields: Sequence[str], limit: int = 100) -> list[Group]:
        readers = [_reader(field) for field in fields]
        found: dict[tuple[Any, ...], tuple[int, str]] = {}
        for record in self.records(query):
            values = tuple(read(record) for read in readers)
            count, last = found.get(values, (0, ""))
            found[values] = (count + 1, max(last, record["id"]))
        groups = [Group(values, count, last) for values, (count, last) in found.items()]
        return heapq.nlargest(limit, groups, key=lambda one: (one.count, one.last_id))

    def count_steps(self, query: LogQuery, seconds: int) -> dict[int, int]:
        """Return how many records each step of time has, by the second of the epoch it starts."""
        found: Counter[int] = Counter()
        for record in self.records(query):
            found[int(time_of(record["id"]).timestamp()) // seconds * seconds] += 1
        return found

    def _selected(self, query: LogQuery) -> Iterator[dict[str, Any]]:
        low, high = query.id_bounds()
        for raw in self._raw_records():
            known = valid_id(raw.get("id"))
            # Most of a large file is of another time: that is seen before any other work is done.
            if known and ((low and known < low) or (high and known >= high)):
                continue
            record = _normalised(raw)
            if matches(query, record):
                yield record

    def _raw_records(self) -> Iterator[dict[str, Any]]:
        done = 0
        for path in self._paths:
            with _opened(path) as (file, position):
                offset = 0
                for number, (line, identity) in enumerate(_identified(file)):
                    yield from records_of(line, identity, offset)[0]
                    offset += len(line)
                    if number % _LINES_BETWEEN_REPORTS == 0:
                        self._progress(done + position())
                done += position()
        self._progress(done)


def _identified(file: BinaryIO) -> Iterator[tuple[bytes, str]]:
    """Yield each line with the identity of its segment, which a later line may tell."""
    lines = iter(lambda: file.readline(LONGEST_LINE), b"")
    held, size, identity = [], 0, None
    for line in lines:
        held.append(line)
        size += len(line)
        if (identity := id_in(line)) or size >= LONGEST_LINE:
            break
    identity = identity or digest_of(b"".join(held))
    for line in itertools.chain(held, lines):
        yield line, identity


@contextmanager
def _opened(path: str) -> Iterator[tuple[BinaryIO, Callable[[], int]]]:
    """Open a file to read, and tell how far it is read. Raises FileUnreadable, in the block too."""
    try:
        raw: io.BufferedReader[Any]
        if path == STDIN:
            raw = io.BufferedReader(cast("io.RawIOBase", sys.stdin.buffer))
        else:
            raw = Path(path).open("rb")  # noqa: SIM115 - closed below, unlike standard input
        zipped = raw.peek(2)[:2] == _GZIP
        try:
            yield (
                cast("BinaryIO", gzip.GzipFile(fileobj=raw) if zipped else raw),
                raw.tell if path != STDIN and raw.seekable() else lambda: 0,
            )
        finally:
            if path == STDIN:
                raw.detach()
            else:
                raw.close()
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, FileNotFoundError) and "*" in path:
            # The shell leaves a pattern as it is when it finds nothing.
            raise FileUnreadable(f"{path}: there is no such file yet") from error
        reason = getattr(error, "strerror", None) or str(error)
        raise FileUnreadable(f"{path}: {reason}") from error


def _normalised(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a line as the store would; only an archive says what the store knew beside it."""
    archived = "keep" in raw
    origin = {name: raw.pop(name, None) if archived else None for name in ("source", "seq")}
    return {**normalise(raw), **origin}


def _reader(field: str) -> Callable[[dict[str, Any]], Any]:
    group, _, key = field.partition(".")
    if group == "details" and key:
        return lambda record: _scalar(record["details"].get(key))
    if group == "exception" and key in EXCEPTION_TEXTS:
        return lambda record: (record["exception"] or {}).get(key)
    if field not in _FIELDS:
        raise ValueError(f"The log has no field {field!r}.")
    return lambda record: record[field]


def _scalar(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()
