"""An append-only log file that many processes write and rotate without losing a line.

A line is one `os.write` to an `O_APPEND` descriptor. Each writer holds a shared `flock` on the
file it has open, so a reader that gets an exclusive one on a rotated segment knows that nobody
will ever append to it again. Rotation is one atomic rename under a lock.
"""

import contextlib
import fcntl
import os
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from time import sleep

from app.observability.log_spool import last_number

# For a file that is removed at each try, or a file system that counts no names.
_ATTEMPTS = 3
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
        # Of the open file: what its name must belong to.
        self._identity = (0, 0)
        # A signal handler may log while the main thread is writing.
        self._lock = threading.RLock()
        self._torn = False
        _open_files.add(self)

    def write(self, line: bytes) -> None:
        """Append `line`, which ends with its only line feed."""
        with self._lock:
            for _ in range(_ATTEMPTS):
                fd = self._current()
                if not self._append(fd, line) and not self._append(fd, line):
                    raise OSError(f"{self.path}: only a part of the line could be written")
                now = os.fstat(fd)
                # Without a name it was removed since we looked, and this line perhaps with it.
                if now.st_nlink:
                    break
            if self._may_create and now.st_size >= self._max_bytes:
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
        # What lacks only its line feed is whole for every reader.
        return written >= len(payload) - 1

    def _current(self) -> int:
        """Return a descriptor of the file that `path` names now, under a shared lock."""
        while True:
            if self._fd is None:
                self._fd = self._open()
                # Refused only while the runner seals what has just been rotated away; a runner
                # that is stopped at that moment must hold nobody up.
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                self._identity = _identity(os.fstat(self._fd))
            with contextlib.suppress(FileNotFoundError):
                if _identity(self.path.stat()) == self._identity:
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
            # Neither lock nor file may have been removed, or rotated, before we had the lock.
            if not _is_named(lock, lock_path) or not _is_named(fd, self.path):
                return
            number = 1 + last_number(self.path, _kept_number(lock))
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


def _is_named(fd: int, path: Path) -> bool:
    """Tell whether `path` names the open file."""
    try:
        return _identity(path.stat()) == _identity(os.fstat(fd))
    except FileNotFoundError:
        return False


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_ino, found.st_dev
