import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, make_url, text

from app.logstore.contract import LogQuery
from app.logstore.partitions import WIDTHS, Partitions, partition_for
from app.logstore.record import KEEPS
from app.logstore.sql_store import SqlStore
from app.observability.ids import id_floor, new_id
from tests.logstore.stores import count, open_engine, put, sample

KEPT_DAYS = {"debug": 7, "info": 30, "error": 90, "operation": 365}
NOW = datetime(2026, 11, 23, 17, tzinfo=UTC)


@pytest.fixture
def engine(postgres_url: str) -> Engine:
    url = make_url(postgres_url).set(drivername="postgresql+psycopg")
    return open_engine(url.render_as_string(hide_password=False))


def partitions(engine: Engine) -> set[str]:
    sql = """SELECT c.relname FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
             WHERE c.relkind = 'r' AND c.relispartition"""
    with engine.connect() as connection:
        return set(connection.scalars(text(sql)))


@pytest.mark.parametrize("keep", KEEPS)
def test_a_partition_is_at_most_a_tenth_of_what_its_class_is_kept(keep: str) -> None:
    assert WIDTHS[keep] <= timedelta(days=KEPT_DAYS[keep]) / 10


@pytest.mark.parametrize(
    ("keep", "moment", "name"),
    [
        ("debug", NOW, "logs_debug_2026112312"),
        ("info", NOW, "logs_info_2026112100"),
        ("info", datetime(1970, 1, 1, tzinfo=UTC), "logs_info_early"),
        ("info", datetime(2200, 1, 1, tzinfo=UTC), "logs_info_late"),
        ("operation", datetime(2019, 12, 31, tzinfo=UTC), "logs_operation_early"),
    ],
)
def test_a_record_has_its_partition_by_class_and_time(
    keep: str, moment: datetime, name: str
) -> None:
    assert partition_for(keep, id_floor(moment)).name == name


@pytest.mark.parametrize("keep", KEEPS)
def test_partitions_join_without_gap_and_overlap(keep: str) -> None:
    step = WIDTHS[keep]
    known = [partition_for(keep, id_floor(NOW + index * step)) for index in range(3)]
    assert [one.high for one in known[:-1]] == [one.low for one in known[1:]]
    early = partition_for(keep, id_floor(datetime(1970, 1, 1, tzinfo=UTC)))
    late = partition_for(keep, id_floor(datetime(2200, 1, 1, tzinfo=UTC)))
    assert early.high is not None
    assert late.low is not None
    milliseconds = int(step.total_seconds() * 1000)
    assert early.high % milliseconds == late.low % milliseconds == 0
    assert early.bounds.startswith("FOR VALUES FROM (MINVALUE) TO ('")
    assert late.bounds.endswith("TO (MAXVALUE)")


def test_partitions_appear_with_the_first_record_that_needs_them(engine: Engine) -> None:
    store = SqlStore(engine)
    assert partitions(engine) == set()
    put(store, sample(NOW), sample(NOW, level="DEBUG"), sample(NOW, action="login"))
    put(store, sample(NOW + timedelta(days=40), level="ERROR"))
    put(store, {**sample(), "id": "ffffffff-ffff-7fff-bfff-ffffffffffff"})
    assert partitions(engine) == {
        "logs_info_2026112100", "logs_debug_2026112312", "logs_operation_2026111500",
        "logs_error_2026123000", "logs_info_late",
    }  # fmt: skip
    assert count(engine) == 5


def test_two_hosts_may_make_the_same_partitions_at_once(engine: Engine) -> None:
    moments = [NOW + timedelta(days=3 * index) for index in range(8)]
    keys = [(keep, id_floor(moment)) for moment in moments for keep in KEEPS]
    start = threading.Barrier(4)
    failures: list[BaseException] = []

    def host() -> None:
        try:
            start.wait()
            Partitions(engine).ensure(keys)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=host) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(partitions(engine)) == len({partition_for(*key) for key in keys})


def test_a_partition_that_was_dropped_or_detached_is_there_again_when_needed(
    engine: Engine,
) -> None:
    store = SqlStore(engine)
    put(store, sample(NOW))
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE logs_info_2026112100"))
    put(store, sample(NOW, message="after the drop"))
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE logs_info DETACH PARTITION logs_info_2026112100"))
    put(store, sample(NOW, message="after detaching"))
    messages = {one["message"] for one in store.page(LogQuery()).records}
    assert messages == {"after the drop", "after detaching"}


def test_records_shipped_again_are_stored_though_a_partition_of_theirs_is_gone(
    engine: Engine,
) -> None:
    store = SqlStore(engine)
    both = [sample(NOW), sample(NOW, action="login", keep="operation")]
    put(store, *both)
    (of_operations,) = (one for one in partitions(engine) if "operation" in one)
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE {of_operations}"))
    put(store, *both)
    assert count(engine) == 2


def test_readers_do_not_wait_while_a_partition_is_made(engine: Engine) -> None:
    store = SqlStore(engine)
    put(store, sample(NOW))
    with engine.connect() as reader:
        # An open transaction that has read the whole table, as a long query has.
        reader.execute(text("SELECT count(*) FROM logs"))
        put(store, sample(NOW + timedelta(days=9)))
        assert reader.scalar(text("SELECT count(*) FROM logs")) == 2


def test_a_page_reads_few_partitions(engine: Engine) -> None:
    store = SqlStore(engine)
    put(store, *(sample(NOW + timedelta(days=3 * index)) for index in range(20)))
    page = store.page(LogQuery(since=NOW, until=NOW + timedelta(hours=1)))
    assert len(page.records) == 1
    query = "EXPLAIN SELECT id FROM logs WHERE keep = 'info' AND id >= :low AND id < :high"
    bounds = {"low": id_floor(NOW), "high": id_floor(NOW + timedelta(hours=1))}
    with engine.connect() as connection:
        plan = "\n".join(connection.scalars(text(query), bounds))
    assert plan.count(" on logs_info_") == 1


def test_a_new_id_falls_between_the_bounds_of_its_partition() -> None:
    record_id = new_id()
    found = partition_for("info", record_id)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= int(record_id.replace("-", "")[:12], 16) < found.high
