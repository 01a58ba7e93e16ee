import pytest
from sqlalchemy import Engine, event, select

from app.logstore.contract import Checkpoint, LogQuery, StoreUnavailable
from app.logstore.sql_store import SqlStore
from app.models.log import Log
from tests.logstore.stores import SOURCE, open_engine, put, sample


def test_a_store_without_tables_says_what_to_do(database_url: str) -> None:
    store = SqlStore(open_engine(database_url, tables=False))
    for use in (
        lambda: put(store, sample()),
        lambda: store.append([sample()], Checkpoint(SOURCE, "a", 0, False, 1)),
        lambda: store.page(LogQuery()),
    ):
        with pytest.raises(StoreUnavailable) as caught:
            use()
        assert str(caught.value) == (
            "The log store lacks its tables or has old ones: run `flask db upgrade`."
        )


def test_the_log_is_searched_for_letters_beyond_ascii_as_they_were_written(engine: Engine) -> None:
    put(SqlStore(engine), sample(details={"note": "größe"}))
    with engine.connect() as connection:
        details = connection.scalar(select(Log.__table__.c.details))
    assert details == {"note": "größe"}


def test_records_of_a_source_without_checkpoint_are_none(engine: Engine) -> None:
    assert SqlStore(engine).checkpoints(SOURCE) == []


def test_what_is_asked_together_goes_through_one_connection(engine: Engine) -> None:
    store, taken = SqlStore(engine), []
    put(store, sample(action="request"))
    event.listen(engine, "checkout", lambda *_: taken.append(1))

    def ask() -> None:
        assert len(store.page(LogQuery()).records) == store.counted(LogQuery())[0].count == 1

    with store.together():
        with store.together():
            ask()
        ask()
    assert len(taken) == 1
    ask()
    assert len(taken) == 3


def test_since_when_counts_are_kept_is_asked_once_of_what_is_asked_together(
    engine: Engine,
) -> None:
    store, asked = SqlStore(engine), []
    event.listen(engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    with store.together():
        for _ in range(3):
            store.counted(LogQuery())
    assert sum("min(log_counts.start)" in one for one in asked) == 1
