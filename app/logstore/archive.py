"""Archives: records of one keep class in a gzip file, oldest first, and a manifest beside it.

An archive counts once its manifest is there, which is written last. A manifest says nothing but
what the file holds, so that it can be checked, and made again, from the file alone.
"""

import contextlib
import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from app.logstore.record import time_of, valid_id
from app.observability.ids import new_id

SUFFIX = ".ndjson.gz"
_MANIFEST = ".manifest.json"
_DRAFT = ".draft-"


class ArchiveBroken(Exception):
    """Say what is wrong with an archive."""


@dataclass(frozen=True)
class Manifest:
    """What an archive holds; times and ids are those of its first and its last record."""

    keep: str
    count: int
    first_id: str
    last_id: str
    first_timestamp: str
    last_timestamp: str
    bytes: int
    sha256: str


def write(folder: Path, records: Iterable[dict[str, Any]]) -> tuple[Path, Manifest] | None:
    """Archive records of one class, sorted by id, below `folder`; None when there are none.

    What is returned is on the disk and was read back. Whatever fails before leaves a draft, or
    an archive without manifest: tidy() knows what to do with either.
    """
    rest = iter(records)
    first = next(rest, None)
    if first is None:
        return None
    month = folder / f"{time_of(first['id']):%Y/%m}"
    month.mkdir(parents=True, exist_ok=True)
    draft = month / f"{_DRAFT}{new_id()}"
    try:
        written = _write_draft(draft, first, rest)
        path = _free_name(month, written)
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
    _sync(month, month.parent, folder)
    found = inspect(path)
    if found != written:
        raise ArchiveBroken(f"{path}: what was read back is not what was written")
    _write_manifest(path, found)
    return path, found


def verify(path: Path) -> Manifest:
    """Return an archive's manifest if the file is what it says. Raises ArchiveBroken."""
    said, found = asdict(read_manifest(path)), asdict(inspect(path))
    for name, value in found.items():
        if value != said[name]:
            raise ArchiveBroken(f"{path}: {name} is {value}, its manifest says {said[name]}")
    return Manifest(**found)


def inspect(path: Path) -> Manifest:
    """Return what an archive's file holds, read to its end. Raises ArchiveBroken."""
    tally = _Tally()
    with _reading(path):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
        for record in _records(path):
            tally.add(record)
        return tally.manifest(size, digest)


def ids(path: Path) -> Iterator[str]:
    """Return the ids of an archive's records, in order. Raises ArchiveBroken."""
    with _reading(path):
        for record in _records(path):
            yield record["id"]


def read_manifest(path: Path) -> Manifest:
    """Return what the manifest beside an archive says. Raises ArchiveBroken."""
    try:
        data = orjson.loads(_manifest_path(path).read_bytes())
        return Manifest(**{name: data[name] for name in Manifest.__dataclass_fields__})
    except FileNotFoundError:
        raise ArchiveBroken(f"{path}: it has no manifest") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise ArchiveBroken(f"{path}: its manifest cannot be read") from None


def archives(folder: Path) -> list[Path]:
    """Return the archives below a folder, also those whose manifest alone is left."""
    found = set(folder.rglob(f"*{SUFFIX}"))
    for manifest in folder.rglob(f"*{_MANIFEST}"):
        found.add(manifest.with_name(manifest.name.removesuffix(_MANIFEST) + SUFFIX))
    return sorted(found)


def tidy(folder: Path) -> None:
    """Complete or remove what a run that was killed has left; only for who holds the lock.

    An archive whose manifest was not written yet was whole on the disk before: it gets one.
    """
    for draft in folder.glob(f"*/*/{_DRAFT}*"):
        draft.unlink(missing_ok=True)
    for path in archives(folder):
        if path.exists() and not _manifest_path(path).exists():
            # A broken one has been damaged since; verify names it.
            with contextlib.suppress(ArchiveBroken):
                _write_manifest(path, inspect(path))
    for emptied in [*folder.glob("*/*/"), *folder.glob("*/")]:
        with contextlib.suppress(OSError):
            emptied.rmdir()


def as_line(record: dict[str, Any]) -> bytes:
    """Return a record as in the log files, without what is absent; its id comes first there."""
    kept = {name: value for name, value in record.items() if value is not None}
    return orjson.dumps({"id": record["id"], **kept}) + b"\n"


class _Tally:
    """Add up what a manifest says of records; they come in order and are of one class."""

    def __init__(self) -> None:
        self._count = 0
        self._first: dict[str, Any] = {}
        self._last: dict[str, Any] = {}

    def add(self, record: dict[str, Any]) -> None:
        self._first = self._first or record
        if valid_id(record.get("id")) is None or record.get("keep") != self._first.get("keep"):
            raise ValueError(f"record {self._count + 1} is none of this archive's")
        if self._last and record["id"] <= self._last["id"]:
            raise ValueError(f"record {self._count + 1} is out of order")
        self._count += 1
        self._last = record

    def manifest(self, size: int, digest: str) -> Manifest:
        if not self._count:
            raise ValueError("it holds no record")
        first, last = self._first, self._last
        times = (str(first.get("timestamp")), str(last.get("timestamp")))
        return Manifest(
            str(first["keep"]), self._count, first["id"], last["id"], *times, size, digest
        )


class _Hashed(io.RawIOBase):
    """Pass on what is written, and know its digest."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self._file.write(data)


def _write_draft(draft: Path, first: dict[str, Any], rest: Iterator[dict[str, Any]]) -> Manifest:
    tally = _Tally()
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    with os.fdopen(descriptor, "wb") as file:
        hashed = _Hashed(file)
        # No name and no time inside: the same records make the same file.
        zipped = gzip.GzipFile("", "wb", 6, fileobj=hashed, mtime=0)
        with zipped, io.BufferedWriter(cast("io.RawIOBase", zipped), 1 << 17) as lines:
            record: dict[str, Any] | None = first
            while record is not None:
                tally.add(record)
                lines.write(as_line(record))
                record = next(rest, None)
        file.flush()
        os.fsync(file.fileno())
    return tally.manifest(hashed.size, hashed.digest.hexdigest())


def _free_name(month: Path, manifest: Manifest) -> Path:
    times = [time_of(one) for one in (manifest.first_id, manifest.last_id)]
    name = "-".join([manifest.keep, *(f"{one:%Y%m%dT%H%M%S}" for one in times)])
    path, number = month / f"{name}{SUFFIX}", 1
    # Late records of the same seconds may have been archived apart.
    while path.exists() or _manifest_path(path).exists():
        number += 1
        path = month / f"{name}-{number}{SUFFIX}"
    return path


def _write_manifest(path: Path, manifest: Manifest) -> None:
    draft = path.with_name(f"{_DRAFT}{new_id()}")
    content = orjson.dumps({"file": path.name, **asdict(manifest)}, option=orjson.OPT_INDENT_2)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content + b"\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(_manifest_path(path))
    _sync(path.parent)


def _manifest_path(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(SUFFIX) + _MANIFEST)


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            record = orjson.loads(line)
            if not isinstance(record, dict) or not line.endswith(b"\n"):
                raise ValueError(f"line {number} is no record")
            yield record


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ArchiveBroken(f"{path}: the file is missing") from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ArchiveBroken(f"{path}: {reason}") from error


def _sync(*folders: Path) -> None:
    """Make what was renamed in these folders outlast a power failure."""
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
