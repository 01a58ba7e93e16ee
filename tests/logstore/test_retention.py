import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.logstore import archive
from app.logstore.contract import LogQuery, LogStore, Recount, Stretch
from app.logstore.counts import DAY, STEPS
from app.logstore.file_store import FileStore
from app.logstore.record import KEEPS
from app.logstore.retention import NotNow, Retention, archive_logs, cutoff, retention_for
from app.observability.ids import id_floor
from app.observability.log_spool import host_id
from tests.helpers import log_lines
from tests.logstore.stores import put, sample

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAYS = {"debug": 7, "info": 30, "error": 90, "operation": 365}
# What puts a record into each class.
KINDS: dict[str, dict[str, Any]] = {
    "debug": {"level": "DEBUG"}, "info": {}, "error": {"level": "WARNING"},
    "operation": {"action": "login"},
}  # fmt: skip
# A partition goes whole: on PostgreSQL a record stays up to a tenth longer, and a day.
LONG_AGO = {keep: days * 1.1 + 1 for keep, days in DAYS.items()}


@pytest.fixture
def retention(log_store: LogStore, tmp_path: Path) -> Retention:
    return Retention(log_store, tmp_path / "logs", DAYS, pause=0)


def fill(store: Any, ages: dict[str, float], each: int = 3) -> list[dict[str, Any]]:
    """Store some records of each class that are so many days old."""
    records = [
        sample(NOW - timedelta(days=age, seconds=second), message=keep, **KINDS[keep])
        for keep, age in ages.items()
        for second in range(each)
    ]
    put(store, *records)
    return records


def archived(folder: Path) -> list[dict[str, Any]]:
    """Return the records in all archives, each of which is sound."""
    paths = archive.archives(folder)
    for path in paths:
        archive.verify(path)
    found = [one for path in paths for one in FileStore([str(path)]).records(LogQuery())]
    return sorted(found, key=lambda one: str(one["id"]))


def ids(records: list[dict[str, Any]]) -> list[str]:
    return sorted(one["id"] for one in records)


def left(store: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = store.page(LogQuery(), limit=100_000).records
    return found


def _oldest(counts: Any, step: int) -> int:
    return int(counts.oldest_start(step))


def test_each_class_leaves_after_its_own_time_and_whole(
    retention: Retention, log_store: Any, tmp_path: Path
) -> None:
    old = fill(log_store, LONG_AGO)
    young = fill(log_store, {keep: days - 1 for keep, days in DAYS.items()})
    whole = {one["id"]: one for one in left(log_store)}
    assert retention.run(NOW) == dict.fromkeys(KEEPS, 3)
    assert ids(left(log_store)) == ids(young)
    assert archived(tmp_path / "logs") == [whole[one] for one in ids(old)]
    # Counts outlive their records, in steps that get longer.
    assert log_store.counted(LogQuery())[0].count == 24
    firsts = [log_store.with_counts(partial(_oldest, step=step)) for step in STEPS]
    assert [(int(NOW.timestamp()) - first) // DAY for first in firsts] == [29, 364, 403]
    assert log_store.recount(check=True) == Recount(12, 0)
    # Nothing is left to do.
    assert retention.run(NOW) == dict.fromkeys(KEEPS, 0)
    assert len(archive.archives(tmp_path / "logs")) == len(KEEPS)


def test_a_plan_says_what_would_go_and_changes_nothing(
    retention: Retention, log_store: LogStore, tmp_path: Path
) -> None:
    fill(log_store, LONG_AGO, each=50)
    fill(log_store, {"info": 3})
    told: list[str] = []
    plans = {one.keep: one for one in retention.plan(NOW, lambda keep, _moment: told.append(keep))}
    assert {keep: one.count for keep, one in plans.items()} == dict.fromkeys(KEEPS, 50)
    assert told == list(KEEPS)
    assert len(left(log_store)) == 203
    assert not (tmp_path / "logs" / "archive").exists()
    assert log_store.lease("archive", "anybody", 0)
    retention.run(NOW)
    for path in archive.archives(tmp_path / "logs"):
        made, plan = archive.read_manifest(path), plans[archive.read_manifest(path).keep]
        assert (plan.first_timestamp, plan.last_timestamp) == (
            made.first_timestamp, made.last_timestamp,
        )  # fmt: skip
        assert abs(plan.bytes - made.bytes) < 100


def test_whole_days_leave(log_store: LogStore) -> None:
    assert cutoff(NOW, 7) == id_floor(datetime(2026, 11, 16, tzinfo=UTC))
    assert cutoff(NOW, 36_500) == "00000000-0000-7000-8000-000000000000"


def test_late_records_are_archived_apart(
    retention: Retention, log_store: LogStore, tmp_path: Path
) -> None:
    old = fill(log_store, {"info": 60})
    retention.run(NOW)
    late = fill(log_store, {"info": 60})
    assert retention.run(NOW)["info"] == 3
    assert ids(archived(tmp_path / "logs")) == ids(old + late)
    assert left(log_store) == []


def test_records_that_come_while_they_are_archived_are_not_lost(
    log_store: LogStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = fill(log_store, {"info": 60})
    late: list[dict[str, Any]] = []
    write = archive.write

    def write_late(*args: Any) -> Any:
        made = write(*args)
        if not late:
            late.extend(fill(log_store, {"info": 60}))
        return made

    monkeypatch.setattr(archive, "write", write_late)
    assert Retention(log_store, tmp_path, DAYS, pause=0).run(NOW)["info"] == 6
    assert ids(archived(tmp_path)) == ids(old + late)
    assert left(log_store) == []


def test_what_was_emptied_by_hand_leaves_no_archive(
    retention: Retention, log_store: LogStore, tmp_path: Path
) -> None:
    old = fill(log_store, {"info": 60})
    log_store.purge("info", ids(old))
    assert retention.run(NOW)["info"] == 0
    assert log_store.wholes("info", cutoff(NOW, 30)) in (None, [])
    assert archive.archives(tmp_path / "logs") == []


def test_what_is_in_use_stays_with_all_that_is_younger(
    log_store: LogStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(log_store, {"info": 60})
    fill(log_store, {"info": 50, "error": 120})
    with monkeypatch.context() as patched:
        # A store that drops whole, where somebody reads the oldest.
        stretches = [Stretch("info", "", id_floor(NOW - timedelta(days=age)), str(age))
                     for age in (55, 40)]  # fmt: skip
        wholes = {"info": stretches}
        patched.setattr(log_store, "wholes", lambda keep, _before: wholes.get(keep))
        patched.setattr(log_store, "drop", lambda *_: False)
        retention = Retention(log_store, tmp_path, DAYS, pause=0)
        assert retention.run(NOW) == {"debug": 0, "info": 0, "error": 3, "operation": 0}
    assert len(archived(tmp_path)) == 6
    assert Retention(log_store, tmp_path, DAYS, pause=0).run(NOW)["info"] == 6
    assert len(archived(tmp_path)) == 9
    assert left(log_store) == []


def test_a_broken_archive_is_not_believed(
    log_store: LogStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = fill(log_store, {"info": 60})
    refuses = Retention(log_store, tmp_path, DAYS, pause=0)
    with monkeypatch.context() as patched:
        patched.setattr(refuses, "_remove", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            refuses.run(NOW)
    (path,) = archive.archives(tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    Retention(log_store, tmp_path, DAYS, pause=0).run(NOW)
    sound = next(one for one in archive.archives(tmp_path) if one != path)
    assert list(archive.ids(sound)) == ids(old)
    assert left(log_store) == []


def test_counts_outlive_their_records_and_get_coarser(log_store: LogStore, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    ages = (500, 100, 90, 20)
    put(log_store, *(sample(now - timedelta(days=age), action="login") for age in ages))
    Retention(log_store, tmp_path, DAYS, pause=0).run(now)

    def oldest(step: int) -> int:
        found = log_store.with_counts(lambda counts: counts.oldest_start(step))  # type: ignore[attr-defined]
        return round((now.timestamp() - found) / 86_400)

    assert [oldest(step) // 10 for step in (60, 3600, 86_400)] == [2, 10, 50]
    assert log_store.counted(LogQuery())[0].count == 4
    # What was deleted is no mistake to a recount.
    assert log_store.recount(check=True).wrong == 0


def test_one_host_at_a_time_and_one_process_on_a_host(log_store: LogStore, tmp_path: Path) -> None:
    fill(log_store, {"info": 60})
    one, other = (Retention(log_store, tmp_path / name, DAYS, pause=0) for name in ("a", "b"))
    assert log_store.lease("archive", host_id(tmp_path / "a"), 60)
    with pytest.raises(NotNow, match="host"):
        other.run(NOW)
    with one._alone(), pytest.raises(NotNow, match="process"):
        Retention(log_store, tmp_path / "a", DAYS).run(NOW)
    assert len(left(log_store)) == 3
    # Whoever is done lets the next one in at once.
    assert other.run(NOW)["info"] == 3


def test_a_run_that_lost_its_lease_deletes_nothing_more(
    log_store: LogStore, tmp_path: Path
) -> None:
    fill(log_store, {"info": 60})

    def lose(*_: Any) -> None:
        log_store.lease("archive", host_id(tmp_path), 0)
        assert log_store.lease("archive", "another", 60)
        retention._renewed = -1e9

    retention = Retention(log_store, tmp_path, DAYS, pause=0)
    with pytest.raises(NotNow):
        retention.run(NOW, lose)
    assert len(left(log_store)) == 3


def test_memory_holds_a_page_and_a_slice_of_a_long_stretch(tmp_path: Path) -> None:
    """The store here makes its records up, and counts those that are alive."""

    class Endless:
        alive: Counter[int] = Counter()
        asked: list[int] = []
        rest = [f"{id_floor(NOW - timedelta(days=60))[:24]}{n:012x}" for n in range(5_000)]

        def wholes(self, _keep: str, _before: str) -> None:
            return None

        def lease(self, *_: Any) -> bool:
            return True

        def expired(self, keep: str, before: str, after: Any = None, limit: int = 1000) -> Any:
            self.asked.append(limit)
            rest = [one for one in self.rest if keep == "info" and one > (after or "")]
            return [{"id": one, "keep": "info"} for one in rest[:limit]]

        def purge(self, _keep: str, ids: list[str]) -> int:
            self.asked.append(len(ids))
            gone = set(ids)
            self.rest = [one for one in self.rest if one not in gone]
            return len(gone)

        def purge_counts(self, *_: Any) -> int:
            return 0

    store: Any = Endless()
    assert Retention(store, tmp_path, DAYS, pause=0).run(NOW)["info"] == 5_000
    assert max(store.asked) <= 1_000


def test_deleting_never_blocks_writing(log_store: LogStore, tmp_path: Path) -> None:
    """A writer with a host of its own goes on, record by record, while thousands are deleted."""
    fill(log_store, {"info": 60}, each=6_000)
    done = threading.Event()
    failures: list[BaseException] = []
    numbers = count()

    def write() -> None:
        try:
            while not done.is_set():
                put(log_store, sample(NOW, message=f"new {next(numbers)}"), source="writer")
        except BaseException as error:
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        gone = Retention(log_store, tmp_path, DAYS).run(NOW)["info"]
    finally:
        done.set()
        writer.join()
    assert not failures
    assert gone == 6_000
    assert len(left(log_store)) == next(numbers)
    assert len(archived(tmp_path)) == 6_000


@pytest.fixture
def in_app(app: Flask) -> Iterator[Flask]:
    with app.app_context():
        yield app


@pytest.mark.settings(LOG_KEEP_DAYS_INFO=2)
def test_the_job_takes_the_settings_and_records_what_it_did(in_app: Flask) -> None:
    store = in_app.extensions["log_store"]
    at = datetime.now(UTC) - timedelta(days=4)
    put(store, sample(at), sample(at), sample(at, level="ERROR"))
    archive_logs()
    assert [one["level"] for one in left(store)] == ["ERROR"]
    (made,), (gone,) = log_lines(in_app, "logs_archived"), log_lines(in_app, "logs_purged")
    (path,) = archive.archives(Path(in_app.config["LOG_DIR"]))
    assert made["target_id"] == path.name
    assert (made["details"]["keep"], made["details"]["count"]) == ("info", 2)
    assert gone["details"] == {"keep": "info", "count": 2, "archives": [path.name]}
    # A second one has nothing to do, and says nothing; neither does one that is not alone.
    with retention_for(in_app)._alone():
        archive_logs()
    archive_logs()
    assert len(log_lines(in_app, "logs_archived")) == 1


def test_a_store_that_deletes_nothing_is_not_archived_for_ever(
    log_store: LogStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(log_store, {"info": 60})
    monkeypatch.setattr(log_store, "purge", lambda *_: 0)
    monkeypatch.setattr(log_store, "wholes", lambda *_: None)
    with pytest.raises(archive.ArchiveBroken, match="could be deleted"):
        Retention(log_store, tmp_path, DAYS, pause=0).run(NOW)
