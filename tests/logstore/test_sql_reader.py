from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, event

from app.logstore.contract import LogQuery
from app.logstore.reading import read_page
from app.logstore.sql_reader import SqlReader
from app.logstore.sql_store import SqlStore
from tests.logstore.stores import put, sample

NOW = datetime(2026, 11, 23, 17, tzinfo=UTC)


def test_a_common_text_is_found_in_the_first_slice(engine: Engine) -> None:
    store = SqlStore(engine)
    put(store, *(sample(message="common") for _ in range(3000)))
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    with engine.connect() as connection:
        query = LogQuery(texts=("common",))
        page = read_page(SqlReader(connection, query), query, None, 50, 10)
    assert len(page.records) == 50
    assert page.next == page.records[-1]["id"]
    assert len(statements) == 2


def test_a_slice_has_one_bound_at_each_end_also_within_a_time_range(engine: Engine) -> None:
    store = SqlStore(engine)
    put(store, *(sample(NOW) for _ in range(3000)))
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    day = timedelta(days=1)
    query = LogQuery(texts=("nowhere",), since=NOW - day, until=NOW + day)
    with engine.connect() as connection:
        assert read_page(SqlReader(connection, query), query, None, 50, 10).records == []
    assert len(statements) >= 4
    # SQLite would go on from the second to the first, for each slice.
    for one in statements:
        parts = one.count("FROM logs")
        assert (one.count("logs.id >= "), one.count("logs.id < ")) == (parts, parts)


def test_a_store_that_was_emptied_is_followed_from_its_new_end(engine: Engine) -> None:
    store = SqlStore(engine)
    put(store, *(sample() for _ in range(9)))
    _, cursor = store.after(LogQuery(), None)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM log_checkpoints")
        connection.exec_driver_sql("DELETE FROM logs")
    put(store, sample(message="first"))
    _, cursor = store.after(LogQuery(), cursor)
    put(store, sample(message="second"))
    assert [one["message"] for one in store.after(LogQuery(), cursor)[0]] == ["second"]
