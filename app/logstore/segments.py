"""Read the segments of a log file: whole lines from an offset, and what is left of torn ones."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from app.logstore.record import (
    EPOCH,
    derived_id,
    parse_moment,
    time_of,
    to_timestamp,
    valid_id,
)
from app.observability import log_spool

CHUNK = 1_572_864
_FIRST_LOOK = 65_536
_TAIL = 1_024
# The more, the fewer counts are written for each.
_MAX_LINES = 2_000
# A "line" longer than any writer's limit is no line; its pieces are kept as fragments.
LONGEST_LINE = 4_194_304
_START = b'{"id":'
_MAX_STARTS = 2_000
_MAX_FRAGMENT = 65_536


@dataclass
class Chunk:
    """Some whole lines of a segment, the offset behind them, and the bytes that end there."""

    records: list[dict[str, Any]] = field(default_factory=list)
    end: int = 0
    torn: int = 0
    before: bytes = b""


class Segment:
    """One open segment. Its identity is what it says first, never its inode or its name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Opening what only looks like a segment, a pipe, must not wait for its other end.
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            os.close(self._fd)
            raise OSError(errno.EINVAL, "not a regular file")

    def __enter__(self) -> "Segment":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._fd)

    def is_named(self, path: Path) -> bool:
        """Tell whether `path` names this file now."""
        try:
            named = path.stat()
        except OSError:
            return False
        mine = os.fstat(self._fd)
        return (named.st_ino, named.st_dev) == (mine.st_ino, mine.st_dev)

    def before(self, offset: int) -> bytes:
        """Return the bytes that end at `offset`, which tell whether they were replaced since."""
        start = max(offset - _TAIL, 0)
        return os.pread(self._fd, offset - start, start)

    @property
    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def stamp(self) -> tuple[int, int, int]:
        """Return what changes when the file does."""
        now = os.fstat(self._fd)
        return now.st_ino, now.st_size, now.st_mtime_ns

    def identity(self, *, whole: bool = False) -> str | None:
        """Return the id of the first record, or a digest of the first bytes when there is none.

        None while the first record is still to be written; `whole` says that it never will be.
        Lines that are no record identify nothing: another segment may begin with the same.
        """
        for size in (_FIRST_LOOK, LONGEST_LINE):
            head = os.pread(self._fd, size, 0)
            full = len(head) == size
            for line in head[: len(head) if whole or full else head.rfind(b"\n") + 1].splitlines():
                if known := id_in(line):
                    return known
            if not full:
                break
        return digest_of(head) if head and (whole or full) else None

    def read(self, offset: int, identity: str, *, whole: bool = False) -> Chunk:
        """Return the records of some whole lines; `whole` takes an unended one too."""
        data = os.pread(self._fd, CHUNK, offset)
        end = data.rfind(b"\n") + 1
        if not end and len(data) == CHUNK:
            data, ended = self._line_at(offset)
            end = len(data) if ended or len(data) >= LONGEST_LINE else 0
        if whole and not end:
            end = len(data)
        chunk = Chunk(end=offset)
        for line in _lines(data, end):
            records, torn = records_of(line, identity, chunk.end)
            chunk.records += records
            chunk.torn += torn
            chunk.end += len(line)
        chunk.before = self.before(chunk.end)
        return chunk

    def seal(self) -> bool:
        """Seal this rotated segment before its last reading; tell whether that was possible.

        Where it is not, the file is another user's, it is read on for as long as it is there.
        """
        try:
            return log_spool.seal(self._fd)
        except OSError:
            return False

    def first_time(self, offset: int) -> datetime | None:
        """Return the time of the first whole line from `offset` on, None when there is none."""
        line, ended = self._line_at(offset)
        if not ended:
            return None
        for piece in split(line):
            known = isinstance(piece, Whole) and valid_id(piece.data.get("id"))
            if known:
                return time_of(known)
        return datetime.fromtimestamp(os.fstat(self._fd).st_mtime, UTC)

    def _line_at(self, offset: int) -> tuple[bytes, bool]:
        """Return the line that begins at `offset`, and whether it has an end."""
        data = b""
        while len(data) < LONGEST_LINE:
            wanted = min(CHUNK, LONGEST_LINE - len(data))
            block = os.pread(self._fd, wanted, offset + len(data))
            found = block.find(b"\n")
            if found >= 0:
                return data + block[: found + 1], True
            data += block
            if len(block) < wanted:
                break
        return data, False


@dataclass(frozen=True)
class Whole:
    """A whole record that stands at `start` of its line."""

    start: int
    data: dict[str, Any]


@dataclass(frozen=True)
class Fragment:
    """What a kill or a full disk left of a record."""

    start: int
    text: bytes


def id_in(line: bytes) -> str | None:
    """Return the id of the first record of a line, which is the identity of a segment's first."""
    for piece in split(line):
        if isinstance(piece, Whole) and (known := valid_id(piece.data.get("id"))):
            return known
    return None


def digest_of(head: bytes) -> str:
    """Return what identifies a segment that begins so, without a record."""
    return hashlib.sha256(head[:LONGEST_LINE]).hexdigest()[:32]


def records_of(line: bytes, identity: str, offset: int) -> tuple[list[dict[str, Any]], int]:
    """Return the records of one line of a segment, and how many of them are fragments."""
    if (data := _parse(line)) is not None and valid_id(data.get("id")):
        return [data], 0
    pieces = split(line)
    records = [_record(piece, identity, offset + piece.start) for piece in pieces]
    return records, sum(isinstance(piece, Fragment) for piece in pieces)


def split(line: bytes) -> list[Whole | Fragment]:
    """Return the records and fragments of one line; a sound line is one record.

    In a torn line each later start of a record is tried: the leftmost rest that parses as a
    whole record is it.
    """
    line = line.rstrip(b"\r\n")
    if not line.strip():
        return []
    if (data := _parse(line)) is not None:
        return [Whole(0, data)]
    for start in _starts(line):
        if (data := _parse(line[start:])) is not None and _is_record(data):
            return [*_whole_then_fragment(line[:start], 0), Whole(start, data)]
    return _whole_then_fragment(line, 0)


def _whole_then_fragment(part: bytes, base: int) -> list[Whole | Fragment]:
    """Split what stands before a whole record: only a line feed may be missing behind a record."""
    if not part:
        return []
    if (data := _parse(part)) is not None and _is_record(data):
        return [Whole(base, data)]
    for start in _starts(part):
        if (data := _parse(part[:start])) is not None and _is_record(data):
            return [Whole(base, data), *_whole_then_fragment(part[start:], base + start)]
    return [Fragment(base, part)]


def _lines(data: bytes, end: int) -> Iterator[bytes]:
    """Yield the first lines before `end` with their line feeds; the last may lack one."""
    start = 0
    for _ in range(_MAX_LINES):
        if start >= end:
            return
        stop = data.find(b"\n", start, end) + 1 or end
        yield data[start:stop]
        start = stop


def _starts(line: bytes) -> Iterator[int]:
    found = 0
    for _ in range(_MAX_STARTS):
        found = line.find(_START, found + 1)
        if found < 0:
            return
        yield found


def _parse(text: bytes) -> dict[str, Any] | None:
    try:
        data = orjson.loads(text)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def _is_record(data: dict[str, Any]) -> bool:
    return valid_id(data.get("id")) is not None and "timestamp" in data and "level" in data


def _record(piece: Whole | Fragment, identity: str, offset: int) -> dict[str, Any]:
    place = f"{identity}:{offset}".encode()
    if isinstance(piece, Whole):
        if valid_id(piece.data.get("id")):
            return piece.data
        # A line of somebody else's: its place gives it an id that is the same on each reading.
        return {**piece.data, **_stamped(None, identity, place, piece.data)}
    known = valid_id(piece.text[7:43].decode("ascii", "replace"))
    return {
        **_stamped(known, identity, place, {}),
        "level": "WARNING",
        "logger": "app.logstore",
        "message": "Torn log line",
        "details": {
            "fragment": piece.text[:_MAX_FRAGMENT].decode("utf-8", "replace"),
            "segment": identity,
            "offset": offset,
        },
    }


def _stamped(
    known: str | None, identity: str, place: bytes, data: dict[str, Any]
) -> dict[str, Any]:
    """Return an id made of the place, with the time that is nearest to the record's own."""
    nearest = known or valid_id(identity)
    moment = parse_moment(data.get("timestamp")) or (time_of(nearest) if nearest else EPOCH)
    other = {"given_id": data["id"]} if data.get("id") is not None else {}
    return {"id": derived_id(moment, place), "timestamp": to_timestamp(moment), **other}
