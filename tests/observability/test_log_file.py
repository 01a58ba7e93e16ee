import fcntl
import os
import resource
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from app.observability.log_file import AppendOnlyFile
from app.observability.log_spool import (
    drop,
    host_id,
    mark_shipped,
    rotated,
    seal,
    segment_number,
    segments,
)

LINE = b"x" * 99 + b"\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "app.log"


def lines_of(path: Path) -> list[bytes]:
    return [line for one in [*rotated(path), path] for line in one.read_bytes().splitlines()]


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


def around_the_next_write(
    monkeypatch: pytest.MonkeyPatch,
    before: Callable[[], object] = lambda: None,
    after: Callable[[], object] = lambda: None,
) -> None:
    """Have something happen just before, or just after, the next line is in its file."""
    real = os.write

    def write(fd: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", real)
        before()
        written = real(fd, data)
        after()
        return written

    monkeypatch.setattr(os, "write", write)


def rotate_and_seal(path: Path) -> Path:
    """Do what another writer, and then the runner does."""
    segment = path.rename(f"{path}.{1 + len(rotated(path)):06d}")
    with segment.open("rb") as open_segment:
        assert seal(open_segment.fileno())
    return segment


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_line_that_may_have_come_after_the_last_reading_is_written_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    file = AppendOnlyFile(path, 10_000)
    file.write(b"one\n")
    around_the_next_write(monkeypatch, **{when: lambda: rotate_and_seal(path)})
    file.write(b"two\n")
    file.write(b"three\n")
    assert rotated(path)[0].read_bytes() == b"one\ntwo\n"
    assert path.read_bytes() == b"two\nthree\n"


def test_a_rotated_segment_that_is_not_sealed_may_grow_for_a_second(path: Path) -> None:
    """By one line only when it is full."""
    file, full = AppendOnlyFile(path, 10_000), AppendOnlyFile(path, 250)
    file.write(b"one\n")
    full.write(b"two\n")
    segment = path.rename(f"{path}.000001")
    file.write(b"three\n")
    full.write(LINE * 3)
    full.write(b"four\n")
    assert segment.read_bytes() == b"one\ntwo\nthree\n" + LINE * 3
    file._look_at = 0.0  # A second later.
    file.write(b"five\n")
    assert path.read_bytes() == b"four\nfive\n"


def test_a_signal_handler_that_moves_on_in_the_middle_of_a_write_takes_no_file_away(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = AppendOnlyFile(path, 10_000)
    others: list[int] = []

    def handler() -> None:
        rotate_and_seal(path)
        file.write(b"handler\n")
        # Where a descriptor was closed, its number is given to the next that is opened.
        others.extend(os.open(os.devnull, os.O_WRONLY) for _ in range(3))

    for when in ({"before": handler}, {"after": handler}):
        file.write(b"first\n")
        around_the_next_write(monkeypatch, **when)
        file.write(b"line\n")
    assert [one.read_bytes() for one in [*rotated(path), path]] == [
        b"first\nhandler\nline\n",
        b"handler\nline\nfirst\nline\nhandler\n",
        b"handler\nline\n",
    ]
    for fd in others:
        os.close(fd)


def test_a_sealed_segment_that_gets_the_name_back_is_numbered_anew(path: Path) -> None:
    """As when somebody restores a backup. Only root can open such a file to write."""
    AppendOnlyFile(path, 10_000).write(b"old\n")
    path.chmod(0o440)
    visitor = AppendOnlyFile(path, 10_000, may_create=False)
    with pytest.raises(OSError):
        visitor.write(b"command\n")
    AppendOnlyFile(path, 10_000).write(b"new\n")
    visitor.write(b"command\n")
    assert rotated(path)[0].read_bytes().startswith(b"old\n")
    assert path.read_bytes() == b"new\ncommand\n"


def test_a_rotation_that_was_killed_half_way_is_completed(path: Path) -> None:
    file = AppendOnlyFile(path, 1000)
    file.write(LINE)
    path.rename(f"{path}.000001")  # Killed here: there is no app.log.
    AppendOnlyFile(path, 1000).write(LINE)
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


def test_a_forked_child_shares_the_file_and_moves_on_by_itself(path: Path) -> None:
    file = AppendOnlyFile(path, 10_000)
    file.write(b"parent\n")

    def work() -> None:
        file.write(b"child\n")
        rotate_and_seal(path)
        file.write(b"moved on\n")

    assert in_child(work) == 0
    file.write(b"parent\n")
    assert rotated(path)[0].read_bytes() == b"parent\nchild\nmoved on\nparent\n"
    assert path.read_bytes() == b"moved on\nparent\n"


def test_threads_that_share_a_file_lose_and_double_nothing_over_its_rotations(path: Path) -> None:
    file = AppendOnlyFile(path, 1_000)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: file.write(b"%098d\n" % number), range(4_000)))
    assert sorted(int(line) for line in lines_of(path)) == list(range(4_000))
    # Threads that write beyond the limit while one rotates make fewer and longer segments.
    assert len(rotated(path)) > 2


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
    around_the_next_write(monkeypatch, before=lambda: shutil.rmtree(path.parent))
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


def test_a_line_that_a_file_refuses_has_the_next_one_look_for_another(path: Path) -> None:
    """As when the runner has made room on a full disk."""

    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        file = AppendOnlyFile(path, 100_000)
        file.write(LINE)
        rotated_away = path.rename(f"{path}.000001")
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        with pytest.raises(OSError):
            file.write(LINE)
        file.write(LINE)
        assert rotated_away.read_bytes() == path.read_bytes() == LINE

    assert in_child(work) == 0


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
