from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from app.services import log_tail
from app.services.log_service import LogQuery, Record
from app.services.log_tail import LOOKED_AT, SHOWN, follow
from tests.logstore.stores import put, sample

ALL = LogQuery()


@pytest.fixture
def store(app: Flask) -> Iterator[Any]:
    with app.app_context():
        yield app.extensions["log_store"]


def messages(records: list[Record]) -> list[str]:
    return [record["message"] for record in records]


def test_a_tail_begins_with_the_newest_and_follows_what_is_stored(store: Any) -> None:
    put(store, sample(message="old"))
    first = follow(ALL, None, "ann")
    assert (messages(first.records), first.begun) == (["old"], True)
    assert follow(ALL, first.cursor, "ann").cursor is None
    late = datetime.now(UTC) - timedelta(hours=3)
    put(store, sample(message="new"))
    put(store, sample(late, message="late"), source="another host")
    second = follow(ALL, first.cursor, "ann")
    assert (messages(second.records), second.begun) == (["new", "late"], False)
    assert follow(ALL, second.cursor, "ann").cursor is None


def test_what_does_not_fit_moves_the_cursor_alone(store: Any) -> None:
    errors = LogQuery(levels=("ERROR",), until=datetime.now(UTC))
    cursor = follow(errors, None, "ann").cursor
    put(store, sample(message="fine"))
    news = follow(errors, cursor, "ann")
    assert (news.records, news.begun) == ([], False)
    assert news.cursor not in {None, cursor}
    # An end of the time that has passed does not hold back what comes now.
    put(store, sample(message="bad", level="ERROR"))
    assert messages(follow(errors, news.cursor, "ann").records) == ["bad"]


@pytest.mark.parametrize(
    ("count", "skipped", "more"),
    [(SHOWN, 0, False), (SHOWN + 7, 7, False), (LOOKED_AT + 50, LOOKED_AT - SHOWN, True)],
)
def test_a_flood_is_cut_to_its_newest_and_tells_how_many_are_left_out(
    store: Any, count: int, skipped: int, more: bool
) -> None:
    cursor = follow(ALL, None, "ann").cursor
    put(store, *(sample(message=str(number)) for number in range(count)))
    news = follow(ALL, cursor, "ann")
    assert messages(news.records) == [str(n) for n in range(count - 1, count - 1 - SHOWN, -1)]
    assert (news.skipped, news.more) == (skipped, more)
    assert follow(ALL, news.cursor, "ann").cursor is None


def test_nobody_reads_on_by_a_cursor_that_is_not_theirs_or_too_old(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = follow(ALL, None, "ann").cursor
    # Made up, it would read the whole log from its beginning without a record of that.
    for made_up in ("e30", "", "\x00", cursor[:-2] if cursor else ""):
        assert follow(ALL, made_up, "ann").begun
    assert follow(ALL, cursor, "bob").begun
    monkeypatch.setattr(log_tail, "MAX_AGE", -1)
    assert follow(ALL, cursor, "ann").begun
