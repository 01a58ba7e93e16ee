from typing import Any

import pytest
from sqlalchemy import Engine

from app.logstore import sql_tail
from app.logstore.contract import LogQuery, Page
from app.logstore.sql_pages import read_page
from app.logstore.sql_store import SqlStore
from app.logstore.sql_tail import read_after
from tests.logstore.stores import put, sample


def test_a_rare_record_is_reached_slice_by_slice_and_call_by_call(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_tail, "_SLICE", 10)
    store = SqlStore(engine)
    with engine.connect() as connection:
        _, cursor = read_after(connection, LogQuery(), None, 5, 1)
    put(store, *(sample(message="hay") for _ in range(95)), sample(message="needle", level="ERROR"))
    calls = 0
    found: list[str] = []
    while not found:
        calls += 1
        with engine.connect() as connection:
            records, cursor = read_after(connection, LogQuery(levels=("ERROR",)), cursor, 5, 0)
        found = [one["message"] for one in records]
        assert calls <= 10
    assert (found, calls) == (["needle"], 10)


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


def test_what_is_stored_while_a_tail_begins_comes_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqlStore(engine)
    put(store, sample(message="before"))

    def read_later(*args: Any) -> Page:
        put(store, sample(message="meanwhile"))
        with engine.connect() as connection:
            return read_page(connection, *args[1:])

    monkeypatch.setattr(sql_tail, "read_page", read_later)
    first, cursor = store.after(LogQuery(), None)
    then, _ = store.after(LogQuery(), cursor)
    assert [one["message"] for one in first + then] == ["before", "meanwhile"]
