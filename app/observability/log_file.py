"""An append-only log file that many processes write and rotate without losing a line.

A line is one `os.write` to an `O_APPEND` descriptor. Each writer holds a shared `flock` on the
file it has open, so a reader that gets an exclusive one on a rotated segment knows that nobody
will ever append to it again. Rotation is one atomic rename under a lock.
"""

import contextlib
import fcntl
import os
import re
import threading
import uuid
import weakref
from collections.abc import Callable
from pathlib import Path
from time import sleep

_open_files: "weakref.WeakSet[AppendOnlyFile]" = weakref.WeakSet()


class AppendOnlyFile:
    """Append whole lines to `path`; safe with many processes and threads.

    `on_rotate` is called after this process has rotated, `on_trouble` when it could not: then the
    file grows on, and the next line tries again. With `may_create=False` the file is neither
    created nor rotated, for commands that another user runs: root's files would lock the
    application out. A line is written whole, or OSError is raised.
    """

    def __init__(
        self,
        path: Path,
        max_bytes: int,
        *,
        may_create: bool = True,
        on_rotate: Callable[[], None] = lambda: None,
        on_trouble: Callable[[OSError], None] = lambda _error: None,
    ) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._may_create = may_create
        self._on_rotate = on_rotate
        self._on_trouble = on_trouble
        self._fd: int | None = None
        # A signal handler may log while the main thread is writing.
        self._lock = threading.RLock()
        self._torn = False
        _open_files.add(self)

    def write(self, line: bytes) -> None:
        """Append `line`, which ends with its only line feed."""
        with self._lock:
            fd = self._current()
            if not self._append(fd, line) and not self._append(fd, line):
                raise OSError(f"{self.path}: only a part of the line could be written")
            if self._may_create and os.fstat(fd).st_size >= self._max_bytes:
                try:
                    self._rotate(fd)
                except OSError as error:
                    # The line itself is safe.
                    self._on_trouble(error)

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None

    def _append(self, fd: int, line: bytes) -> bool:
        # Behind a fragment of our own the line starts anew, so that the fragment hurts only
        # itself. A whole line is tried again: other writers may already stand in between.
        payload = b"\n" + line if self._torn else line
        written = 0
        try:
            written = os.write(fd, payload)
        finally:
            self._torn = 0 < written < len(payload) or (self._torn and not written)
        return written == len(payload)

    def _current(self) -> int:
        """Return a descriptor of the file that `path` names now, under a shared lock."""
        while True:
            if self._fd is None:
                self._fd = self._open()
                fcntl.flock(self._fd, fcntl.LOCK_SH)
            try:
                named = self.path.stat()
            except FileNotFoundError:
                self.close()
                self._torn = False
                continue
            mine = os.fstat(self._fd)
            if (named.st_ino, named.st_dev) == (mine.st_ino, mine.st_dev):
                return self._fd
            # Rotated away by another process: what was written there is safe there.
            self.close()
            self._torn = False

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        if self._may_create:
            try:
                return os.open(self.path, flags | os.O_CREAT, 0o640)
            except FileNotFoundError:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                return os.open(self.path, flags | os.O_CREAT, 0o640)
        for _ in range(10):
            with contextlib.suppress(FileNotFoundError):
                return os.open(self.path, flags)
            sleep(0.01)  # Between the two steps of a rotation the name is absent for a moment.
        raise FileNotFoundError(f"{self.path} does not exist and only the app's user creates it")

    def _rotate(self, fd: int) -> None:
        lock_path = self.path.with_name(f".{self.path.name}.lock")
        lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            # Whoever holds the lock is rotating; a process stopped with it stops nobody.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self.path.stat().st_ino != os.fstat(fd).st_ino:
                return
            names = map(segment_number, rotated(self.path))
            number = 1 + max(_kept_number(lock), shipped_through(self.path.parent), *names)
            # The number is kept first: it may be skipped, but never given twice.
            os.pwrite(lock, b"%012d" % number, 0)
            self.path.rename(f"{self.path}.{number:06d}")
            self._current()
        except (BlockingIOError, FileNotFoundError):
            return
        finally:
            os.close(lock)
        self._on_rotate()

    def forget_after_fork(self) -> None:
        # Closing leaves the parent's lock alone, which belongs to the shared open file.
        self._lock = threading.RLock()
        self.close()
        self._torn = False


def _forget_all_after_fork() -> None:
    for file in list(_open_files):
        file.forget_after_fork()


os.register_at_fork(after_in_child=_forget_all_after_fork)


def _kept_number(lock: int) -> int:
    text = os.pread(lock, 32, 0).strip()
    return int(text) if text.isdigit() else 0


def rotated(path: Path) -> list[Path]:
    """Return the rotated segments of a log file, oldest first."""
    pattern = re.compile(re.escape(path.name) + r"\.(\d{6,})$")
    try:
        found = [one for one in path.parent.iterdir() if pattern.match(one.name)]
    except FileNotFoundError:
        return []
    return sorted(found, key=segment_number)


def segment_number(path: Path) -> int:
    """Return the number in the name of a rotated segment."""
    return int(path.suffix[1:])


def segments(log_dir: Path) -> list[Path]:
    """Return all segments of the application's log, oldest first, the active one last."""
    active = log_dir / "app.log"
    return [*rotated(active), *([active] if active.exists() else [])]


def host_id(log_dir: Path) -> str:
    """Return the identity of this LOG_DIR, made at first use; container names change, it stays."""
    path = log_dir / ".host-id"
    if not path.exists():
        log_dir.mkdir(parents=True, exist_ok=True)
        draft = log_dir / f".host-id.{os.getpid()}"
        draft.write_text(str(uuid.uuid4()))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text().strip()


def mark_shipped(log_dir: Path, number: int) -> None:
    """Note that every segment up to `number` is in the store, so that it may be pruned."""
    draft = log_dir / f".shipped.{os.getpid()}"
    draft.write_text(str(number))
    draft.replace(log_dir / ".shipped")


def shipped_through(log_dir: Path) -> int:
    """Return the number of the last segment that is in the store with all before it."""
    try:
        return int((log_dir / ".shipped").read_text())
    except (FileNotFoundError, ValueError):
        return 0


def prune(path: Path, keep: int, spool_max_bytes: int | None = None) -> int:
    """Delete what is too much of the rotated segments; return how many lines were never shipped.

    The newest `keep` stay. Older ones stay too while the store does not have them, up to
    `spool_max_bytes` in all; None means that this file is not shipped.
    """
    found = rotated(path)
    shipped = shipped_through(path.parent) if spool_max_bytes is not None else None
    waiting = [one for one in found if shipped is not None and segment_number(one) > shipped]
    for segment in found[: max(len(found) - keep, 0)]:
        if segment not in waiting:
            segment.unlink(missing_ok=True)
    lost = 0
    sizes = {segment: _size(segment) for segment in waiting}
    for segment in waiting:
        if sum(sizes.values()) <= (spool_max_bytes or 0):
            break
        lines = _lines(segment)
        del sizes[segment]
        # Of two processes that prune at once only the one that deletes counts.
        with contextlib.suppress(FileNotFoundError):
            segment.unlink()
            lost += lines
    return lost


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _lines(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    except FileNotFoundError:
        return 0
