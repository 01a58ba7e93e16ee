from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.logstore import reading
from app.logstore.contract import LogQuery, LogStore, Page
from app.logstore.reading import read_page
from tests.logstore.stores import put, sample

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_a_match_behind_false_ones_in_the_same_slice_is_found(log_store: Any) -> None:
    # In a database any letter stands for one beyond ASCII; the many that do not match after all
    # must not push the one that does out of the page.
    log_store._deadline = 60
    put(log_store, sample(NOW, message="Ärger"))
    put(log_store, *(sample(NOW + timedelta(seconds=i), message="arger") for i in range(1, 60)))
    page = log_store.page(LogQuery(texts=("ärger",)), None, 5)
    assert [one["message"] for one in page.records] == ["Ärger"]


def test_a_rare_record_is_reached_slice_by_slice_and_call_by_call(
    log_store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_TAIL_SLICE", 10)
    log_store._deadline = 0
    _, cursor = log_store.after(LogQuery(), None, 5)
    hay = [sample(message="hay") for _ in range(95)]
    put(log_store, *hay, sample(message="needle", level="ERROR"))
    calls = 0
    found: list[str] = []
    while not found:
        calls += 1
        records, cursor = log_store.after(LogQuery(levels=("ERROR",)), cursor, 5)
        found = [one["message"] for one in records]
        assert calls <= 10
    assert (found, calls) == (["needle"], 10)


def test_what_is_stored_while_a_tail_begins_comes_once(
    log_store: LogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(log_store, sample(message="before"))

    def read_later(*args: Any) -> Page:
        put(log_store, sample(message="meanwhile"))
        return read_page(*args)

    monkeypatch.setattr(reading, "read_page", read_later)
    first, cursor = log_store.after(LogQuery(), None)
    then, _ = log_store.after(LogQuery(), cursor)
    assert [one["message"] for one in first + then] == ["before", "meanwhile"]
