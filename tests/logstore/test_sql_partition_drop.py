import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, make_url, text

from app.logstore import sql_partition_drop
from app.logstore.contract import LogQuery, Stretch
from app.logstore.sql_partition_drop import expired_partitions
from app.logstore.sql_store import SqlStore
from app.observability.ids import id_floor
from tests.helpers import wait_for
from tests.logstore.stores import open_engine, put, sample

NOW = datetime(2026, 11, 23, tzinfo=UTC)
BEFORE = id_floor(NOW)


@pytest.fixture
def engine(postgres_url: str) -> Engine:
    url = make_url(postgres_url).set(drivername="postgresql+psycopg")
    return open_engine(url.render_as_string(hide_password=False))


@pytest.fixture
def store(engine: Engine) -> SqlStore:
    made = SqlStore(engine)
    put(made, sample(NOW - timedelta(days=9)), sample(NOW - timedelta(days=9)))
    put(made, *(sample(NOW, message=str(index)) for index in range(3)))
    return made


@pytest.fixture
def stretch(store: SqlStore) -> Stretch:
    (found,) = store.wholes("info", BEFORE) or []
    return found


def test_partitions_that_have_ended_come_oldest_first(engine: Engine, store: SqlStore) -> None:
    put(store, sample(datetime(1970, 1, 1, tzinfo=UTC)), sample(NOW - timedelta(days=50)))
    put(store, {**sample(), "id": "ffffffff-ffff-7fff-bfff-ffffffffffff"})
    with engine.connect() as connection:
        found = expired_partitions(connection, "info", BEFORE)
        assert expired_partitions(connection, "debug", BEFORE) == []
    assert [one.whole for one in found] == [
        "logs_info_early", "logs_info_2026100400", "logs_info_2026111200",
    ]  # fmt: skip
    for one in found:
        records = store.expired("info", one.high, one.low)
        assert len(records) == (2 if one is found[-1] else 1)
    assert SqlStore(open_engine("sqlite://")).wholes("info", BEFORE) is None


def test_a_partition_goes_only_with_the_records_that_were_counted(
    store: SqlStore, stretch: Stretch
) -> None:
    assert not store.drop(stretch, 1)
    put(store, sample(NOW - timedelta(days=9), message="late"))
    assert not store.drop(stretch, 2)
    assert store.drop(stretch, 3)
    assert store.wholes("info", BEFORE) == []
    assert len(store.page(LogQuery()).records) == 3


def test_a_reader_keeps_a_partition_and_nobody_waits_for_that(
    engine: Engine, store: SqlStore, stretch: Stretch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_partition_drop, "_PAUSE", 0.005)
    with engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM logs"))
        assert not store.drop(stretch, 2)
        with engine.connect() as other:
            # Who comes after a lock that was waited for would wait as well.
            other.execute(text("SET lock_timeout = '1ms'"))
            assert other.scalar(text("SELECT count(*) FROM logs")) == 5
    assert store.drop(stretch, 2)


def test_writers_go_on_while_a_partition_is_counted_and_dropped(
    engine: Engine, store: SqlStore, stretch: Stretch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held between count and drop: records of other times are stored; a late one waits."""
    held, go_on = threading.Event(), threading.Event()
    lock_at_once = sql_partition_drop._lock_at_once

    def hold(*args: Any) -> bool:
        held.set()
        go_on.wait(30)
        return lock_at_once(*args)

    monkeypatch.setattr(sql_partition_drop, "_lock_at_once", hold)
    dropped: list[bool] = []
    dropper = threading.Thread(target=lambda: dropped.append(store.drop(stretch, 2)))
    late = threading.Thread(
        target=lambda: put(SqlStore(engine), sample(NOW - timedelta(days=9), message="late"),
                           source="another")
    )  # fmt: skip
    dropper.start()
    try:
        assert held.wait(30)
        put(store, sample(NOW, message="now"))
        late.start()
        wait_for(lambda: waiting(engine), 30)
    finally:
        go_on.set()
        dropper.join()
        late.join()
    found = sorted(one["message"] for one in store.page(LogQuery()).records)
    # It waits with a lock that the drop needs, so this time the partition stays.
    assert dropped == [False]
    assert found == ["0", "1", "2", "late", "now", "sample", "sample"]
    assert store.drop(stretch, 3)


def waiting(engine: Engine) -> int:
    sql = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with engine.connect() as connection:
        return int(connection.scalar(text(sql)) or 0)
