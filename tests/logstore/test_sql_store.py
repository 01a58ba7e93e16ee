import os
import threading

from sqlalchemy import Engine, select

from app.logstore.contract import Checkpoint, LogQuery
from app.logstore.sql_store import SqlStore
from app.models.log import Log
from tests.logstore.stores import SOURCE, count, put, sample


def test_a_child_process_uses_connections_of_its_own(engine: Engine) -> None:
    store = SqlStore(engine)
    put(store, sample())
    child = os.fork()
    if child == 0:
        # Both sides talk at once: on a shared connection they would read each other's answers.
        os._exit(0 if all(len(store.page(LogQuery()).records) == 1 for _ in range(50)) else 1)
    answers = [len(store.page(LogQuery()).records) for _ in range(50)]
    assert os.waitpid(child, 0)[1] == 0
    assert answers == [1] * 50


def test_two_hosts_store_the_same_outbox_rows_once(engine: Engine) -> None:
    store = SqlStore(engine)
    records = [sample() for _ in range(200)]
    new: list[str] = []

    def host(source: str) -> None:
        for start in range(0, 200, 20):
            checkpoint = Checkpoint(source, "outbox", 0, False, start + 1)
            new.extend(store.append(records[start : start + 20], checkpoint))

    threads = [threading.Thread(target=host, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(new) == sorted(one["id"] for one in records)
    assert count(engine) == 200


def test_the_log_is_searched_for_letters_beyond_ascii_as_they_were_written(engine: Engine) -> None:
    put(SqlStore(engine), sample(details={"note": "größe"}))
    with engine.connect() as connection:
        details = connection.scalar(select(Log.__table__.c.details))
    assert details == {"note": "größe"}


def test_records_of_a_source_without_checkpoint_are_none(engine: Engine) -> None:
    assert SqlStore(engine).checkpoints(SOURCE) == []
