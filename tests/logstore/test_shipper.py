from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, insert, text

from app.logstore.contract import Checkpoint, LogQuery, StoreUnavailable
from app.logstore.segments import Segment
from app.logstore.shipper import Shipper, shipper_for
from app.logstore.sql_store import SqlStore
from app.logstore.waiting import Meanwhile, nothing
from app.models.outbox import OutboxRecord
from app.observability import log_spool
from tests.logstore.stores import (
    count,
    line,
    messages,
    open_engine,
    rotate,
    sample,
    stored,
    write_lines,
)


@pytest.fixture
def log_store(engine: Engine) -> SqlStore:
    """The store in the database that the outbox is in."""
    return SqlStore(engine)


@pytest.fixture
def shipper(engine: Engine, log_store: SqlStore, log_dir: Path) -> Shipper:
    return Shipper(log_store, log_dir, engine, backup_count=2)


def add_to_outbox(engine: Engine, *records: dict[str, Any]) -> None:
    with engine.begin() as connection:
        for record in records:
            values = {"id": record["id"], "record": line(record).decode()}
            connection.execute(
                insert(OutboxRecord.__table__).values(created_at=datetime.now(UTC), **values)
            )


def outbox_size(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM outbox")) or 0)


def test_lines_are_shipped_once_in_their_order(
    engine: Engine, shipper: Shipper, log_dir: Path
) -> None:
    write_lines(log_dir / "app.log", *messages("a", "b"))
    assert shipper.ship_once() == 2
    assert shipper.ship_once() == 0
    write_lines(log_dir / "app.log", *messages("c"))
    rotate(log_dir, 1)
    write_lines(log_dir / "app.log", *messages("d"))
    assert shipper.ship_once() == 2
    assert stored(engine) == ["a", "b", "c", "d"]
    assert shipper.shipped_through == 1


def test_a_new_runner_goes_on_where_the_last_one_stopped(
    engine: Engine, log_store: SqlStore, shipper: Shipper, log_dir: Path
) -> None:
    write_lines(log_dir / "app.log", *messages("a"))
    shipper.ship_once()
    rotate(log_dir, 1)
    write_lines(log_dir / "app.log", *messages("b"))
    successor = Shipper(log_store, log_dir, engine)
    assert successor.ship_once() == 1
    assert stored(engine) == ["a", "b"]
    assert stored(engine, "seq") == [1, 2]


def test_a_record_is_stored_once_whichever_of_line_and_outbox_comes_first(
    engine: Engine, shipper: Shipper, log_dir: Path
) -> None:
    both, row_first, only_row = messages("both", "row first", "only row")
    write_lines(log_dir / "app.log", both)
    add_to_outbox(engine, both, row_first, only_row)
    shipper.ship_once()
    write_lines(log_dir / "app.log", row_first)
    shipper.ship_once()
    assert sorted(stored(engine)) == ["both", "only row", "row first"]
    assert outbox_size(engine) == 0


def test_a_large_outbox_is_drained_whole(engine: Engine, shipper: Shipper) -> None:
    add_to_outbox(engine, *(sample() for _ in range(1200)))
    assert shipper.drain_outbox() == 1200
    assert (count(engine), outbox_size(engine)) == (1200, 0)


def test_an_outbox_row_that_was_stored_and_not_deleted_is_stored_once(
    engine: Engine, log_store: SqlStore, shipper: Shipper, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_to_outbox(engine, *messages("a"))
    with monkeypatch.context() as patch:
        patch.setattr("app.logstore.outbox.remove", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            shipper.ship_once()
    assert Shipper(log_store, shipper._log_dir, engine).ship_once() == 1
    assert (stored(engine), outbox_size(engine)) == (["a"], 0)


def test_a_segment_is_read_to_its_end_once_it_is_sealed(
    sqlite: Engine, log_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipper = Shipper(SqlStore(sqlite), log_dir)
    write_lines(log_dir / "app.log", *messages("a"))
    with (log_dir / "app.log").open("ab", buffering=0) as writer:
        segment = rotate(log_dir, 1)
        write_lines(log_dir / "app.log", *messages("b"))
        with monkeypatch.context() as patch:
            patch.setattr(Segment, "seal", lambda _: False)
            shipper.ship_once()
        assert shipper.shipped_through == 0
        real = Segment.seal

        def seal_late(self: Segment) -> bool:
            # At the last moment before the seal.
            writer.write(line(sample(message="late")) + b'{"id":"torn')
            monkeypatch.setattr(Segment, "seal", real)
            return real(self)

        monkeypatch.setattr(Segment, "seal", seal_late)
        assert shipper.ship_once() == 2
    assert segment.stat().st_mode & 0o777 == 0o444
    assert shipper.shipped_through == 1
    assert stored(sqlite) == ["a", "b", "late", "Torn log line"]
    assert (shipper.torn, shipper.dropped, shipper.refused) == (1, 0, 0)


def test_shipped_segments_stay_for_grep_and_older_ones_go(sqlite: Engine, log_dir: Path) -> None:
    store = SqlStore(sqlite)
    shipper = Shipper(store, log_dir, backup_count=2)
    for number in range(1, 6):
        write_lines(log_dir / "app.log", *messages(str(number)))
        rotate(log_dir, number)
    shipper.ship_once()
    assert [path.name for path in log_spool.segments(log_dir)] == [
        "app.log.000004",
        "app.log.000005",
    ]
    assert stored(sqlite) == ["1", "2", "3", "4", "5"]
    for _ in range(3):
        shipper.ship_once()
    left = store.checkpoints(log_spool.host_id(log_dir))
    assert len(left) == 2
    assert all(one.sealed for one in left)


def test_unshipped_segments_stay_up_to_the_limit_and_what_goes_is_counted(
    sqlite: Engine, log_dir: Path
) -> None:
    store = Flaky(sqlite)
    shipper = Shipper(store, log_dir, backup_count=1, spool_max_bytes=1_000_000)
    write_lines(log_dir / "app.log", *messages("stored"))
    shipper.ship_once()
    store.failing = "before"
    for number in range(1, 6):
        write_lines(log_dir / "app.log", *messages("x" * 300_000, str(number)))
        rotate(log_dir, number)
    with pytest.raises(StoreUnavailable):
        shipper.ship_once()
    assert [path.name[-1] for path in log_spool.segments(log_dir)] == ["3", "4", "5"]
    # Of the first segment a line was stored, and is not lost.
    assert shipper.dropped == 4
    store.failing = None
    shipper.ship_once()
    assert [one for one in stored(sqlite) if len(one) < 10] == ["stored", "3", "4", "5"]


def test_a_folder_that_takes_no_note_stops_neither_the_outbox_nor_the_deleting(
    sqlite: Engine, log_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    shipper = Shipper(SqlStore(sqlite), log_dir, sqlite, backup_count=0)
    write_lines(log_dir / "app.log", *messages("line"))
    rotate(log_dir, 1)
    add_to_outbox(sqlite, *messages("row"))
    monkeypatch.setattr(log_spool, "mark_shipped", full)
    shipper.ship_once()
    assert stored(sqlite) == ["line", "row"]
    assert log_spool.segments(log_dir) == []


def test_an_empty_rotated_segment_holds_nothing_up(sqlite: Engine, log_dir: Path) -> None:
    shipper = Shipper(SqlStore(sqlite), log_dir)
    log_dir.mkdir(exist_ok=True)
    (log_dir / "app.log.000001").touch()
    write_lines(log_dir / "app.log.000002", *messages("a"))
    shipper.ship_once()
    assert shipper.shipped_through == 2


def test_a_segment_that_cannot_be_read_holds_up_no_other(
    sqlite: Engine, log_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (log_dir / "app.log.000001").mkdir(parents=True)
    loop = log_dir / "app.log.000002"
    loop.symlink_to(loop)
    write_lines(log_dir / "app.log", *messages("a"))
    shipper = Shipper(SqlStore(sqlite), log_dir)
    shipper.ship_once()
    shipper.ship_once()
    assert stored(sqlite) == ["a"]
    told = [one.details["segment"] for one in caplog.records]
    assert told == ["app.log.000001", "app.log.000002"]


class Flaky(SqlStore):
    """A store whose answers get lost: before the work, or after it is done."""

    failing: str | None = None

    def append(
        self, records: Any, checkpoint: Checkpoint, meanwhile: Meanwhile = nothing
    ) -> list[str]:
        if self.failing == "before":
            raise StoreUnavailable("away")
        new = super().append(records, checkpoint, meanwhile)
        if self.failing == "after":
            raise StoreUnavailable("away")
        return new


@pytest.mark.parametrize("moment", ["before", "after"])
def test_nothing_is_lost_or_doubled_while_the_store_is_away(
    sqlite: Engine, log_dir: Path, moment: str
) -> None:
    store = Flaky(sqlite)
    shipper = Shipper(store, log_dir, sqlite)
    write_lines(log_dir / "app.log", *messages("a", "b"))
    add_to_outbox(sqlite, *messages("c"))
    _, cursor = store.after(LogQuery(), None)
    store.failing = moment
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            shipper.ship_once()
    assert shipper.lag_seconds >= 0
    store.failing = None
    shipper.ship_once()
    assert sorted(stored(sqlite)) == ["a", "b", "c"]
    assert sorted(stored(sqlite, "seq")) == [1, 2, 3]
    assert len(store.after(LogQuery(), cursor)[0]) == 3


def test_a_lost_answer_makes_no_number_be_given_twice(sqlite: Engine, log_dir: Path) -> None:
    store = Flaky(sqlite)
    shipper = Shipper(store, log_dir, sqlite)
    add_to_outbox(sqlite, *messages("row"))
    store.failing = "after"
    with pytest.raises(StoreUnavailable):
        shipper.ship_once()
    store.failing = None
    _, cursor = store.after(LogQuery(), None)
    write_lines(log_dir / "app.log", *messages("line"))
    shipper.ship_once()
    # Whoever follows the log would never see a record whose number he has passed.
    assert [one["message"] for one in store.after(LogQuery(), cursor)[0]] == ["line"]


def test_files_are_shipped_even_when_the_database_with_the_outbox_is_away(
    sqlite: Engine, log_dir: Path
) -> None:
    away = open_engine("postgresql+psycopg://nobody@127.0.0.1:1/x", tables=False)
    write_lines(log_dir / "app.log", *messages("a"))
    with pytest.raises(StoreUnavailable, match=r"^The database does not answer"):
        Shipper(SqlStore(sqlite), log_dir, away).ship_once()
    assert stored(sqlite) == ["a"]


def test_lag_and_rest_tell_what_is_not_shipped_yet(sqlite: Engine, log_dir: Path) -> None:
    shipper = Shipper(SqlStore(sqlite), log_dir)
    assert (shipper.lag_seconds, shipper.unshipped_bytes) == (0, 0)
    old = sample(datetime.now(UTC) - timedelta(seconds=90))
    write_lines(log_dir / "app.log", old)
    rotate(log_dir, 1)
    write_lines(log_dir / "app.log", sample())
    assert 90 <= shipper.lag_seconds < 120
    assert shipper.unshipped_bytes == sum(p.stat().st_size for p in log_spool.segments(log_dir))
    shipper.ship_once()
    assert (shipper.lag_seconds, shipper.unshipped_bytes) == (0, 0)
    with (log_dir / "app.log").open("ab") as file:
        file.write(b"half a line")
    assert (shipper.lag_seconds, shipper.unshipped_bytes) == (0, 11)


def test_a_clock_that_was_set_back_gives_no_negative_lag(sqlite: Engine, log_dir: Path) -> None:
    write_lines(log_dir / "app.log", sample(datetime.now(UTC) + timedelta(hours=1)))
    assert Shipper(SqlStore(sqlite), log_dir).lag_seconds == 0


def test_a_pass_ends_in_time_and_the_next_goes_on(sqlite: Engine, log_dir: Path) -> None:
    write_lines(log_dir / "app.log", *(sample() for _ in range(2500)))
    shipper = Shipper(SqlStore(sqlite), log_dir, sqlite)
    add_to_outbox(sqlite, sample())
    # One batch of lines, and the outbox has its turn all the same.
    assert shipper.ship_once(seconds=0) == 2001
    assert [shipper.ship_once(seconds=0) for _ in range(2)] == [500, 0]
    assert count(sqlite) == 2501


def test_an_app_s_shipper_follows_its_settings(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    app = make_app(LOG_FILE_BACKUP_COUNT=3)
    with app.app_context():
        shipper = shipper_for(app)
        write_lines(Path(app.config["LOG_DIR"]) / "app.log", *messages("from the file"))
        shipper.ship_once()
        page = app.extensions["log_store"].page(LogQuery(texts=("from the file",)))
    assert len(page.records) == 1
