import fcntl
import os
import resource
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.observability.log_file import AppendOnlyFile
from app.observability.log_spool import (
    drop,
    host_id,
    mark_shipped,
    rotated,
    segment_number,
    segments,
)

LINE = b"x" * 99 + b"\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "app.log"


def lines_of(path: Path) -> list[bytes]:
    return [line for one in [*rotated(path), path] for line in one.read_bytes().splitlines()]


def is_held(path: Path) -> bool:
    """Tell whether somebody holds a lock on the file."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def in_child(work: Any) -> int:
    """Run `work` in a forked process and return its exit status."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_lines_are_appended_and_the_folder_is_made(path: Path) -> None:
    file = AppendOnlyFile(path, 10_000)
    file.write(b"one\n")
    AppendOnlyFile(path, 10_000).write(b"two\n")
    file.write(b"three\n")
    assert path.read_bytes() == b"one\ntwo\nthree\n"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_full_file_gets_the_next_number_and_nothing_is_lost(path: Path) -> None:
    told: list[int] = []
    file = AppendOnlyFile(path, 250, on_rotate=lambda: told.append(1))
    for number in range(10):
        file.write(b"%098d\n" % number)
    assert [one.name for one in rotated(path)] == [
        "app.log.000001", "app.log.000002", "app.log.000003",
    ]  # fmt: skip
    assert [int(line) for line in lines_of(path)] == list(range(10))
    assert len(told) == 3
    assert segments(path.parent) == [*rotated(path), path]


def test_a_number_is_never_given_twice(path: Path) -> None:
    file = AppendOnlyFile(path, 100)
    file.write(LINE)
    rotated(path)[0].unlink()
    file.write(LINE)
    assert [segment_number(one) for one in rotated(path)] == [2]
    # Not even when the counter is gone: what is shipped may be deleted.
    mark_shipped(path.parent, 40, host_id(path.parent))
    (path.parent / ".app.log.lock").unlink()
    file.write(LINE)
    assert [segment_number(one) for one in rotated(path)] == [2, 41]
    drop(path, 0, 0)
    (path.parent / ".app.log.lock").unlink()
    (path.parent / ".shipped").unlink()
    file.write(LINE)
    assert [segment_number(one) for one in rotated(path)] == [42]


def between_look_and_line(file: AppendOnlyFile, work: Callable[[], None]) -> None:
    """Write a line, and do something else at the moment when its writer has looked at the name."""
    real = file._append

    def append(fd: int, line: bytes) -> bool:
        file._append = real  # type: ignore[method-assign]
        work()
        return real(fd, line)

    file._append = append  # type: ignore[method-assign]
    file.write(LINE)


def test_a_writer_holds_its_file_from_its_look_to_its_line_and_no_longer(path: Path) -> None:
    held: list[bool] = []
    first, second = AppendOnlyFile(path, 10_000), AppendOnlyFile(path, 150)
    first.write(LINE)
    assert not is_held(path)

    def rotate() -> None:
        second.write(LINE)
        assert is_held(rotated(path)[0])

    between_look_and_line(first, rotate)
    assert not is_held(rotated(path)[0])
    assert len(rotated(path)[0].read_bytes().splitlines()) == 3

    def interrupt() -> None:
        first.write(LINE)
        held.append(is_held(path))

    # What a signal handler writes in between leaves the lock to whom it has interrupted.
    between_look_and_line(first, interrupt)
    assert held == [True]
    assert not is_held(path)


def test_a_rotation_that_was_killed_half_way_is_completed(path: Path) -> None:
    file = AppendOnlyFile(path, 1000)
    file.write(LINE)
    path.rename(f"{path}.000001")  # Killed here: there is no app.log.
    file.write(LINE)
    assert len(lines_of(path)) == 2


def test_who_rotates_already_is_not_waited_for(path: Path) -> None:
    file = AppendOnlyFile(path, 150)
    file.write(LINE)
    with (path.parent / ".app.log.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file.write(LINE)
        assert not rotated(path)
    file.write(LINE)
    assert len(rotated(path)) == 1


def test_a_removed_folder_is_made_anew(path: Path) -> None:
    file = AppendOnlyFile(path, 1000)
    file.write(b"one\n")
    shutil.rmtree(path.parent)
    file.write(b"two\n")
    assert path.read_bytes() == b"two\n"


def test_a_rotation_that_fails_loses_no_line_and_is_told(path: Path) -> None:
    told: list[OSError] = []
    file = AppendOnlyFile(path, 100, on_trouble=told.append)
    path.parent.mkdir()
    (path.parent / ".app.log.lock").mkdir()
    file.write(LINE)
    file.write(LINE)
    assert len(lines_of(path)) == 2
    assert [type(one) for one in told] == [IsADirectoryError] * 2
    (path.parent / ".app.log.lock").rmdir()
    file.write(LINE)
    assert len(rotated(path)) == 1
    assert len(lines_of(path)) == 3


def test_a_fragment_hurts_only_itself(path: Path) -> None:
    """A disk that fills up in the middle of a line, and is cleared."""

    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        file = AppendOnlyFile(path, 100_000)
        file.write(b"whole-1\n")
        resource.setrlimit(resource.RLIMIT_FSIZE, (12, resource.RLIM_INFINITY))
        with pytest.raises(OSError):
            file.write(b"broken-line\n")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        file.write(b"whole-2\n")
        file.write(b"whole-3\n")

    assert in_child(work) == 0
    assert path.read_bytes() == b"whole-1\nbrok\nwhole-2\nwhole-3\n"


def test_a_forked_child_takes_a_lock_of_its_own_and_leaves_its_parents(path: Path) -> None:
    file = AppendOnlyFile(path, 10_000)
    file.write(b"parent\n")
    inode = os.fstat(file._fd or 0).st_ino

    def work() -> None:
        assert file._fd is None
        file.write(b"child\n")
        file.close()

    def fork() -> None:
        assert in_child(work) == 0
        assert is_held(path)

    between_look_and_line(file, fork)
    assert os.fstat(file._fd or 0).st_ino == inode
    assert path.read_bytes() == b"parent\nchild\n" + LINE


def test_a_fork_while_another_thread_writes_does_not_hang(path: Path) -> None:
    file = AppendOnlyFile(path, 10_000)
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with file._lock:
            taken.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(10)

    def work() -> None:
        signal.alarm(5)
        file.write(b"child\n")

    assert in_child(work) == 0
    done.set()
    thread.join()


def test_a_visitor_neither_creates_nor_rotates(path: Path) -> None:
    visitor = AppendOnlyFile(path, 100, may_create=False)
    with pytest.raises(FileNotFoundError):
        visitor.write(LINE)
    assert not path.parent.exists()
    AppendOnlyFile(path, 10_000).write(LINE)
    visitor.write(LINE)
    visitor.write(LINE)
    assert len(lines_of(path)) == 3
    assert not rotated(path)


def test_a_line_that_is_removed_together_with_its_file_is_written_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = AppendOnlyFile(path, 10_000)
    file.write(b"one\n")
    real = os.write

    def write(fd: int, data: bytes) -> int:
        # `rm -r logs`, between the look at the name and the write.
        monkeypatch.setattr(os, "write", real)
        shutil.rmtree(path.parent)
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    file.write(b"two\n")
    assert path.read_bytes() == b"two\n"


def test_a_line_that_lacks_only_its_end_is_written(path: Path) -> None:
    """It counts as written, because every reader finds it; so nothing may count it as lost."""

    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        file = AppendOnlyFile(path, 100_000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (7, resource.RLIM_INFINITY))
        file.write(b"whole-1\n")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        file.write(b"whole-2\n")

    assert in_child(work) == 0
    assert path.read_bytes() == b"whole-1\nwhole-2\n"


def test_a_runner_that_is_stopped_while_it_seals_holds_no_writer_up(path: Path) -> None:
    file = AppendOnlyFile(path, 10_000)
    path.parent.mkdir()
    path.touch()
    old = path.open("rb")
    real, calls = file._open, iter([True])

    def open_late() -> int:
        fd = real()
        if next(calls, False):
            path.rename(f"{path}.000001")
            fcntl.flock(old, fcntl.LOCK_EX)
        return fd

    file._open = open_late  # type: ignore[method-assign]
    thread = threading.Thread(target=file.write, args=(b"one\n",), daemon=True)
    thread.start()
    thread.join(10)
    assert path.read_bytes() == b"one\n"
    old.close()


def test_a_rotation_lock_that_was_removed_is_no_lock(path: Path) -> None:
    first, second = AppendOnlyFile(path, 10_000), AppendOnlyFile(path, 150)
    first.write(LINE)
    lock = path.parent / ".app.log.lock"
    real = fcntl.flock

    def flock(fd: int, how: int) -> None:
        real(fd, how)
        if how & fcntl.LOCK_EX:
            lock.unlink(missing_ok=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fcntl, "flock", flock)
        second.write(LINE)
    assert not rotated(path)
    second.write(LINE)
    assert len(rotated(path)) == 1
