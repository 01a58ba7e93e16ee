import os
import signal
import uuid
from pathlib import Path

import pytest

from app.observability import log_spool
from app.observability.log_spool import (
    copies,
    drop,
    dropped_lines,
    host_id,
    last_number,
    mark_shipped,
    prune,
    rotated,
    segment_number,
    shipped_through,
)

LINE = b"x" * 99 + b"\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs" / "app.log"


def test_the_host_has_one_identity_that_stays(path: Path) -> None:
    first = host_id(path.parent)
    assert uuid.UUID(first)
    assert host_id(path.parent) == first
    assert [one.name for one in path.parent.iterdir()] == [".host-id"]


def test_an_identity_that_was_lost_in_writing_is_made_anew(path: Path) -> None:
    (path.parent / ".host-id").touch()
    assert uuid.UUID(host_id(path.parent))


def test_what_is_shipped_is_remembered_and_only_of_this_folder(path: Path) -> None:
    assert shipped_through(path.parent) == 0
    host = host_id(path.parent)
    mark_shipped(path.parent, 7, host)
    assert shipped_through(path.parent) == 7
    # `rm -r logs`, and a runner that has not noticed yet.
    (path.parent / ".host-id").unlink()
    mark_shipped(path.parent, 8, host)
    assert shipped_through(path.parent) == 0
    host_id(path.parent)
    assert shipped_through(path.parent) == 0


def segments_of(path: Path, count: int) -> None:
    for number in range(1, count + 1):
        Path(f"{path}.{number:06d}").write_bytes(LINE)


@pytest.mark.parametrize(
    ("shipped", "spool", "left", "lost"),
    [
        (9, 10_000, [7, 8, 9], 0),
        (4, 10_000, [5, 6, 7, 8, 9], 0),
        (0, 10_000, [1, 2, 3, 4, 5, 6, 7, 8, 9], 0),
        (0, 500, [5, 6, 7, 8, 9], 4),
        (0, 200, [8, 9], 7),
        (None, 10_000, [7, 8, 9], 0),
    ],
)
def test_old_segments_go_when_they_are_shipped_or_too_many(
    path: Path, shipped: int | None, spool: int, left: list[int], lost: int
) -> None:
    segments_of(path, 9)
    prune(path, 3, shipped)
    assert drop(path, shipped or 0, spool) == lost
    assert [segment_number(one) for one in rotated(path)] == left
    assert dropped_lines(path.parent) == lost


def test_of_a_segment_that_is_stored_in_part_the_rest_is_lost(path: Path) -> None:
    Path(f"{path}.000001").write_bytes(LINE * 10)
    assert drop(path, 0, 0, lambda _: 300) == 7


@pytest.mark.parametrize("call", ["pwrite", "unlink"])
def test_a_kill_while_dropping_neither_hides_nor_doubles_a_line(path: Path, call: str) -> None:
    segments_of(path, 5)
    if (child := os.fork()) == 0:
        kill = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
        setattr(os if call == "pwrite" else Path, call, kill)
        drop(path, 0, 100)
    os.waitpid(child, 0)
    assert len(rotated(path)) == 5
    drop(path, 0, 200)
    assert (len(rotated(path)), dropped_lines(path.parent)) == (2, 3)


def test_a_full_disk_has_room_for_the_note_once_a_segment_is_gone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite

    def full(*arguments: object) -> int:
        if len(rotated(path)) == 3:
            raise OSError(28, "No space left on device")
        return real(*arguments)  # type: ignore[arg-type]

    segments_of(path, 3)
    monkeypatch.setattr(log_spool.os, "pwrite", full)
    assert drop(path, 0, 0) == 3
    assert (rotated(path), dropped_lines(path.parent), last_number(path, 0)) == ([], 3, 3)


def test_what_logrotate_makes_is_found_and_what_nobody_can_read_is_not(path: Path) -> None:
    names = ("app.log", "app.log.000001", "app.log.1", "app.log-20261125", "app.log.2.gz",
             "app.log.swp", "error.log.1")  # fmt: skip
    for name in names:
        (path.parent / name).touch()
    assert [one.name for one in copies(path.parent)] == ["app.log-20261125", "app.log.1"]


def test_segments_are_in_the_order_of_their_numbers(path: Path) -> None:
    for name in ("app.log.999999", "app.log.1000000", "app.log.000002", "app.log.gz", "app.log.1"):
        (path.parent / name).touch()
    assert [segment_number(one) for one in rotated(path)] == [2, 999999, 1000000]
    assert rotated(path.parent / "none" / "app.log") == []
