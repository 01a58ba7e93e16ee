from sqlalchemy import Engine, event

from app.logstore.contract import LogQuery
from app.logstore.reading import read_page
from app.logstore.sql_reader import SqlReader
from app.logstore.sql_store import SqlStore
from tests.logstore.stores import put, sample


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
