"""The rotated segments of a log file: their numbers, what of them is shipped, what has to go."""

import contextlib
import fcntl
import os
import re
import stat
import uuid
from collections.abc import Callable
from pathlib import Path

# As logrotate names what it renames or copies; compressed files are past reading.
_COPY = re.compile(r"app\.log[.-]\d[\d-]*")
WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def rotated(path: Path) -> list[Path]:
    """Return the rotated segments of a log file, oldest first."""
    pattern = re.compile(re.escape(path.name) + r"\.(\d{6,})$")
    return sorted(filter(lambda one: pattern.match(one.name), _files(path)), key=segment_number)


def segment_number(path: Path) -> int:
    """Return the number in the name of a rotated segment."""
    return int(path.suffix[1:])


def segments(log_dir: Path) -> list[Path]:
    """Return all segments of the application's log, oldest first, the active one last."""
    active = log_dir / "app.log"
    return [*rotated(active), *([active] if active.exists() else [])]


def copies(log_dir: Path) -> list[Path]:
    """Return what another program, such as logrotate, has made of app.log."""
    active = log_dir / "app.log"
    own = set(rotated(active))
    return sorted(one for one in _files(active) if _COPY.fullmatch(one.name) and one not in own)


def host_id(log_dir: Path) -> str:
    """Return the identity of this LOG_DIR, made at first use; container names change, it stays."""
    path = log_dir / ".host-id"
    while not (known := known_host_id(log_dir)):
        log_dir.mkdir(parents=True, exist_ok=True)
        # What a power failure left empty is nobody's identity.
        path.unlink(missing_ok=True)
        draft = log_dir / f".host-id.{os.getpid()}"
        draft.write_text(str(uuid.uuid4()))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return known


def seal(segment: int) -> bool:
    """Take the permission to write from an open rotated segment; tell whether that is done.

    A writer that has it open looks after each line: what it adds from now on it writes again
    elsewhere. So who reads or counts after this has all that was written here only.
    """
    mode = stat.S_IMODE(os.fstat(segment).st_mode)
    if mode & WRITABLE:
        os.fchmod(segment, mode & ~WRITABLE)
    # There are file systems that only say that they did it.
    return is_sealed(os.fstat(segment))


def is_sealed(found: os.stat_result) -> bool:
    """Tell whether a segment is read, or was dropped, as it is."""
    return not found.st_mode & WRITABLE


def known_host_id(log_dir: Path) -> str | None:
    """Return the identity of this LOG_DIR, None before its first use."""
    try:
        return str(uuid.UUID((log_dir / ".host-id").read_text().strip()))
    except (FileNotFoundError, ValueError):
        return None


def mark_shipped(log_dir: Path, number: int, host: str) -> None:
    """Note that every segment up to `number` of this host is stored, so that it may be pruned."""
    draft = log_dir / f".shipped.{os.getpid()}"
    draft.write_text(f"{host} {number}")
    draft.replace(log_dir / ".shipped")


def shipped_through(log_dir: Path) -> int:
    """Return the number of the last segment that is in the store with all before it."""
    try:
        host, number = (log_dir / ".shipped").read_text().split()
        # In a folder that was removed and made anew the numbers begin anew: the note of a runner
        # that has not seen that yet says nothing about it.
        return int(number) if host == known_host_id(log_dir) else 0
    except (OSError, ValueError):
        return 0


def dropped_lines(log_dir: Path) -> int:
    """Return how many lines were ever deleted unshipped."""
    return _read_dropped(log_dir)[1]


def last_number(path: Path, kept: int) -> int:
    """Return the highest number that any segment of a log file has had, `kept` at least."""
    numbers = map(segment_number, rotated(path))
    return max(kept, shipped_through(path.parent), _read_dropped(path.parent)[0], *numbers, 0)


def prune(path: Path, keep: int, through: int | None = None) -> None:
    """Delete all but the newest `keep` rotated segments; none with a number over `through`."""
    found = rotated(path)
    for segment in found[: max(len(found) - keep, 0)]:
        if through is None or segment_number(segment) <= through:
            segment.unlink(missing_ok=True)


def drop(
    path: Path, shipped: int, max_bytes: int, start_of: Callable[[Path], int] = lambda _: 0
) -> int:
    """Delete the oldest unshipped segments over `max_bytes` in all; return how many lines went.

    `start_of` tells how many bytes of a segment are in the store. The lines are noted before
    the file goes, so that a kill in between neither hides nor doubles them.
    """
    sizes = {one: _size(one) for one in rotated(path) if segment_number(one) > shipped}
    if sum(sizes.values()) <= max_bytes:
        return 0
    note = os.open(path.parent / ".dropped", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _drop_oldest(note, sizes, max_bytes, start_of)
    except BlockingIOError:
        # Another process is at it.
        return 0
    finally:
        os.close(note)


def _drop_oldest(
    note: int, sizes: dict[Path, int], max_bytes: int, start_of: Callable[[Path], int]
) -> int:
    through, before = _parse_dropped(os.pread(note, 64, 0).decode())
    lost = 0
    while sizes and sum(sizes.values()) > max_bytes:
        segment = next(iter(sizes))
        del sizes[segment]
        if segment_number(segment) > through:
            lost += _lines(segment, start_of(segment))
            text = b"%012d %018d" % (segment_number(segment), before + lost)
            try:
                os.pwrite(note, text, 0)
            except OSError:
                # A full disk has room for the note once the segment is gone.
                segment.unlink(missing_ok=True)
                os.pwrite(note, text, 0)
        segment.unlink(missing_ok=True)
    return lost


def _read_dropped(log_dir: Path) -> tuple[int, int]:
    """Return the number of the last segment that was dropped, and the lines of all of them."""
    try:
        return _parse_dropped((log_dir / ".dropped").read_text())
    except (OSError, ValueError):
        return 0, 0


def _parse_dropped(text: str) -> tuple[int, int]:
    number, _, lines = text.partition(" ")
    return (int(number), int(lines)) if number.isdigit() and lines.isdigit() else (0, 0)


def _files(path: Path) -> list[Path]:
    try:
        return list(path.parent.iterdir())
    except FileNotFoundError:
        return []


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _lines(path: Path, start: int) -> int:
    try:
        with path.open("rb") as file:
            # A line that comes behind the count is written again elsewhere.
            with contextlib.suppress(OSError):
                seal(file.fileno())
            file.seek(start)
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    except FileNotFoundError:
        return 0
