import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from app.logstore import segments
from app.logstore.contract import Checkpoint
from app.logstore.segments import Segment
from app.logstore.shipper import Shipper
from app.logstore.sql_store import SqlStore
from app.logstore.waiting import Meanwhile, nothing
from app.observability import log_spool
from tests.logstore.stores import line, messages, rotate, sample, stored, write_lines


@pytest.mark.parametrize("kept", [0, 1])
def test_a_log_that_is_truncated_in_place_is_read_anew(
    sqlite: Engine, log_dir: Path, kept: int
) -> None:
    shipper = Shipper(SqlStore(sqlite), log_dir)
    old, new = messages("a", "b" * 50), messages("c")
    write_lines(log_dir / "app.log", *old)
    shipper.ship_once()
    os.truncate(log_dir / "app.log", 0)
    write_lines(log_dir / "app.log", *old[:kept], *new)
    shipper.ship_once()
    assert stored(sqlite) == ["a", "b" * 50, "c"]


@pytest.mark.parametrize("restart", [False, True])
def test_a_log_that_was_cut_and_has_grown_beyond_the_old_place_is_read_anew(
    sqlite: Engine, log_dir: Path, restart: bool
) -> None:
    shipper = Shipper(SqlStore(sqlite), log_dir)
    old = messages("a", "b", "c")
    write_lines(log_dir / "app.log", *old)
    shipper.ship_once()
    os.truncate(log_dir / "app.log", len(line(old[0])) + (20 if restart else 0))
    write_lines(log_dir / "app.log", *messages("d", "e", "f"))
    if restart:
        # A new runner knows only that a line should end where it is to go on.
        shipper = Shipper(SqlStore(sqlite), log_dir)
    shipper.ship_once()
    assert [one for one in stored(sqlite) if len(one) == 1] == ["a", "b", "c", "d", "e", "f"]


def test_what_logrotate_copied_before_it_truncated_is_read_on_from_the_copy(
    sqlite: Engine, log_dir: Path
) -> None:
    shipper = Shipper(SqlStore(sqlite), log_dir, sqlite)
    active, copy = log_dir / "app.log", log_dir / "app.log.1"
    write_lines(active, *messages("a", "b"))
    shipper.ship_once()
    write_lines(active, *messages("c", "d"))
    # Half of it is copied when the shipper looks.
    copy.write_bytes(active.read_bytes()[:-50])
    shipper.ship_once()
    write_lines(active, *messages("e"))
    copy.write_bytes(active.read_bytes())
    os.truncate(active, 0)
    write_lines(active, *messages("f"))
    assert shipper.ship_once() == 2
    assert shipper.ship_once() == 0
    assert stored(sqlite) == ["a", "b", "c", "d", "e", "f"]
    assert (shipper.torn, copy.exists()) == (0, True)


@pytest.mark.parametrize("how", ["removed", "moved away"])
def test_a_log_that_loses_its_name_under_load_is_read_to_its_end(
    sqlite: Engine, log_dir: Path, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipper = Shipper(SqlStore(sqlite), log_dir)
    write_lines(log_dir / "app.log", *messages("a"))
    shipper.ship_once()
    with (log_dir / "app.log").open("ab", buffering=0) as writer:
        writer.write(line(sample(message="b")))
        if how == "removed":
            shutil.rmtree(log_dir)
        else:
            log_dir.rename(tmp_path / "elsewhere")
        with monkeypatch.context() as patch:
            patch.setattr(Segment, "seal", lambda _: False)
            shipper.ship_once()
        # A writer that has not looked at the name writes there until it is sealed.
        writer.write(line(sample(message="c")))
        write_lines(log_dir / "app.log", *messages("d"))
        shipper.ship_once()
    shipper.ship_once()
    assert stored(sqlite) == ["a", "b", "c", "d"]
    assert len(shipper._held) == 1


def test_a_number_that_is_given_again_in_a_new_folder_is_not_taken_for_the_old_one(
    sqlite: Engine, log_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipper = Shipper(SqlStore(sqlite), log_dir, backup_count=0)
    write_lines(log_dir / "app.log", *messages("a"))
    rotate(log_dir, 1)
    shipper.ship_once()
    shutil.rmtree(log_dir)
    write_lines(log_dir / "app.log", *messages("b"))
    rotate(log_dir, 1)
    # It is not read to its end.
    monkeypatch.setattr(Segment, "seal", lambda _: False)
    shipper.ship_once()
    assert len(log_spool.segments(log_dir)) == 1


def test_an_inode_that_is_used_again_skips_nothing(sqlite: Engine, log_dir: Path) -> None:
    shipper = Shipper(SqlStore(sqlite), log_dir)
    for number in range(20):
        write_lines(log_dir / "app.log", *messages(str(number)))
        shipper.ship_once()
        (log_dir / "app.log").unlink()
    assert stored(sqlite) == [str(number) for number in range(20)]


class Busy(SqlStore):
    """A store in whose first batch the caller can read ahead, before `then` happens."""

    then: Meanwhile = staticmethod(nothing)

    def append(
        self, records: Any, checkpoint: Checkpoint, meanwhile: Meanwhile = nothing
    ) -> list[str]:
        new = super().append(records, checkpoint)
        meanwhile()
        self.then()
        self.then = nothing
        return new


def test_a_file_that_is_cut_after_it_was_read_ahead_loses_and_doubles_nothing(
    sqlite: Engine, log_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "_MAX_LINES", 1)
    active = log_dir / "app.log"
    write_lines(active, *messages("1", "2", "3"))

    def cut() -> None:
        assert stored(sqlite) == ["1"]
        shutil.copyfile(active, log_dir / "app.log.1")
        active.write_bytes(b"")
        write_lines(active, *messages("4", "5"))

    store = Busy(sqlite)
    store.then = cut
    shipper = Shipper(store, log_dir, sqlite)
    shipper.ship_once()
    assert store.then is nothing
    for _ in range(2):
        shipper.ship_once()
    assert sorted(stored(sqlite)) == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("step", ["first", "later"])
def test_a_log_that_is_copied_and_truncated_while_it_is_read_loses_nothing(
    sqlite: Engine, log_dir: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    active = log_dir / "app.log"
    old, new = messages("a", "b", "c"), messages(*"uvwxyz")
    write_lines(active, *old)
    shipper = Shipper(SqlStore(sqlite), log_dir, backup_count=2)
    if step == "later":
        shipper.ship_once()
        old += messages("d")
        write_lines(active, old[-1])
    read = Segment.read

    def read_late(segment: Segment, *args: Any, **named: Any) -> Any:
        # Between the shipper's look at what this file is and its reading.
        monkeypatch.undo()
        shutil.copyfile(active, log_dir / "app.log-20260101")
        os.truncate(active, 0)
        write_lines(active, *new)
        return read(segment, *args, **named)

    monkeypatch.setattr(Segment, "read", read_late)
    for _ in range(3):
        shipper.ship_once()
    assert sorted(stored(sqlite)) == sorted(one["message"] for one in old + new)


def test_a_copy_that_is_read_in_several_passes_is_read_whole(sqlite: Engine, log_dir: Path) -> None:
    write_lines(log_dir / "app.log.1", *(sample() for _ in range(2500)))
    shipper = Shipper(SqlStore(sqlite), log_dir)
    assert [shipper.ship_once(seconds=0) for _ in range(3)] == [2000, 500, 0]
