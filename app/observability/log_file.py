"""An append-only log file that many processes write and rotate without losing a line.

A line is one `os.write` to an `O_APPEND` descriptor, and one `os.fstat` after it. There is no lock:
before a reader reads a rotated segment for the last time it seals it, which takes its write
permission away from everybody, and a writer that finds its file sealed, or without a name,
writes its line again into the file that has the name now. Write and seal are one after the other
for the kernel, which locks the file for each: a line before the seal is read, a line after it was
written twice, and the store knows it by its id. A writer that is stopped or killed at any point
holds nobody up and loses nothing that it has said was written. Threads, signal handlers and forked
children are writers like all others, so they need no lock either: who leaves a file takes it away
from nobody, because a descriptor is closed when its last user is done. Rotation is one atomic
rename under a lock.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

from app.observability.log_spool import WRITABLE, is_sealed, last_number

# For a file that is removed or sealed at each try, or a file system that counts no names.
_ATTEMPTS = 3
# How long a line may go to a file that somebody else has moved; the runner reads it there.
_SECONDS_TO_A_LOOK = 1.0


class _OpenFile:
    """A descriptor that is closed once nobody uses it."""

    __slots__ = ("fd", "identity")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.identity = _identity(os.fstat(fd))

    def __del__(self) -> None:
        os.close(self.fd)


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
        self._file: _OpenFile | None = None
        self._look_at = 0.0
        self._torn = False

    def write(self, line: bytes) -> None:
        """Append `line`, which ends with its only line feed."""
        for _ in range(_ATTEMPTS):
            file = self._file
            if file is None or monotonic() >= self._look_at:
                file = self._named()
            if not self._append(file.fd, line) and not self._append(file.fd, line):
                raise OSError(f"{self.path}: only a part of the line could be written")
            now = os.fstat(file.fd)
            if not _is_left(now):
                if now.st_size >= self._max_bytes:
                    self._make_room(file)
                return
            self._leave()
        if is_sealed(now):
            raise OSError(f"{self.path} is sealed")

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        self._file = None

    def _append(self, fd: int, line: bytes) -> bool:
        # Behind a fragment of our own the line starts anew, so that the fragment hurts only
        # itself. A whole line is tried again: other writers may already stand in between.
        payload = b"\n" + line if self._torn else line
        try:
            written = os.write(fd, payload)
        except OSError:
            # There may be room in another file that has the name now.
            self._look_at = 0.0
            raise
        if written == len(payload):
            self._torn = False
            return True
        self._look_at = 0.0
        self._torn = written > 0 or self._torn
        # What lacks only its line feed is whole for every reader.
        return written == len(payload) - 1

    def _named(self) -> _OpenFile:
        """Return the file that `path` names now."""
        file = self._file
        if file is not None and not self._names(file.identity):
            # Moved by somebody else: what was written there is safe there.
            self._leave()
            file = None
        if file is None:
            file = self._file = self._open()
        self._look_at = monotonic() + _SECONDS_TO_A_LOOK
        return file

    def _leave(self) -> None:
        self._file = None
        self._torn = False

    def _names(self, identity: tuple[int, int]) -> bool:
        """Tell whether `path` names the file of this identity."""
        return _is_named(identity, self.path)

    def _open(self) -> _OpenFile:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        if self._may_create:
            self._move_sealed()
            try:
                return _OpenFile(os.open(self.path, flags | os.O_CREAT, 0o640))
            except FileNotFoundError:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                return _OpenFile(os.open(self.path, flags | os.O_CREAT, 0o640))
        for _ in range(10):
            with contextlib.suppress(FileNotFoundError):
                return _OpenFile(os.open(self.path, flags))
            sleep(0.01)  # Between the two steps of a rotation the name is absent for a moment.
        raise FileNotFoundError(f"{self.path} does not exist and only the app's user creates it")

    def _move_sealed(self) -> None:
        """Give a number to a segment that somebody gave this name again, as a backup may."""
        with contextlib.suppress(FileNotFoundError):
            now = self.path.stat()
            if is_sealed(now):
                self._rotate(_identity(now))

    def _make_room(self, file: _OpenFile) -> None:
        if not self._names(file.identity):
            self._leave()
        elif self._may_create:
            try:
                self._rotate(file.identity)
                self._named()
            except OSError as error:
                # The line itself is safe.
                self._on_trouble(error)

    def _rotate(self, identity: tuple[int, int]) -> None:
        lock_path = self.path.with_name(f".{self.path.name}.lock")
        lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            # Whoever holds the lock is rotating; a process stopped with it stops nobody.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Neither lock nor file may have been removed, or rotated, before we had the lock.
            if not _is_named(_identity(os.fstat(lock)), lock_path) or not self._names(identity):
                return
            number = 1 + last_number(self.path, _kept_number(lock))
            # The number is kept first: it may be skipped, but never given twice.
            os.pwrite(lock, b"%012d" % number, 0)
            self.path.rename(f"{self.path}.{number:06d}")
        except (BlockingIOError, FileNotFoundError):
            return
        finally:
            os.close(lock)
        self._on_rotate()


def _is_left(now: os.stat_result) -> bool:
    """Tell whether nobody may look for a line here: removed, or read for the last time."""
    return not now.st_nlink or not now.st_mode & WRITABLE


def _kept_number(lock: int) -> int:
    text = os.pread(lock, 32, 0).strip()
    return int(text) if text.isdigit() else 0


def _is_named(identity: tuple[int, int], path: Path) -> bool:
    try:
        return _identity(path.stat()) == identity
    except FileNotFoundError:
        return False


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_ino, found.st_dev
