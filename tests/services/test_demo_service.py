import pytest
from flask import Flask
from sqlalchemy import make_url

from app import db
from app.models.user import User
from app.observability import query_timer
from app.services import item_service
from app.services.demo_service import (
    LONGEST_SECONDS,
    N_PLUS_ONE_ITEMS,
    average_debt,
    owners_one_by_one,
    run_slow_statement,
)
from tests.helpers import Account, log_lines


def add_items(owner: Account, count: int) -> None:
    for number in range(count):
        item_service.create_item(db.session.get(User, owner.id), {"name": f"Thing {number}"})


def test_the_error_is_a_real_one_after_statements_that_worked(
    app_context: Flask, user: Account
) -> None:
    add_items(user, 2)
    stats = query_timer.start()
    with pytest.raises(ZeroDivisionError):
        average_debt()
    query_timer.stop()
    assert stats.count == 3


def test_the_slow_statement_is_recorded_as_slow_on_each_database(
    make_app, database_url: str
) -> None:  # type: ignore[no-untyped-def]
    app = make_app(DATABASE_URL=database_url, SLOW_QUERY_MS=100)
    with app.app_context():
        assert db.engine.dialect.name == make_url(database_url).get_backend_name()
        assert 0.1 < run_slow_statement() < LONGEST_SECONDS
    slow = log_lines(app, "slow_query")
    assert [one["statement"] for one in slow if "pg_sleep" in one["statement"]]


@pytest.mark.settings(SLOW_QUERY_MS=3_600_000)
def test_nobody_waits_for_ever(app_context: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.demo_service.LONGEST_SECONDS", 0.2)
    assert 0.2 <= run_slow_statement() < 2


def test_owners_are_asked_for_one_by_one(app_context: Flask, user: Account) -> None:
    add_items(user, N_PLUS_ONE_ITEMS + 1)
    stats = query_timer.start()
    rows = owners_one_by_one()
    query_timer.stop()
    assert [name for name, _ in rows][:2] == ["Thing 20", "Thing 19"]
    assert {owner for _, owner in rows} == {"user"}
    assert (len(rows), stats.count) == (N_PLUS_ONE_ITEMS, N_PLUS_ONE_ITEMS + 1)
