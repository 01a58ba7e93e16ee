import contextlib
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app import db
from app.observability import metrics, query_timer
from app.observability.query_timer import QueryStats, shape
from tests.helpers import log_lines

MakeApp = Callable[..., Flask]


def counted() -> float:
    (family,) = metrics.db_query_duration_seconds.collect()
    return next(one.value for one in family.samples if one.name.endswith("_count"))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM items WHERE id = 42", "SELECT * FROM items WHERE id = ?"),
        ("SELECT 'it''s' , 1.5", "SELECT ? , ?"),
        ("WHERE id IN (1, 2, 3)", "WHERE id IN (?, …)"),
        ("WHERE id IN (?, ?, ?)", "WHERE id IN (?, …)"),
        ("INSERT INTO t VALUES (?, ?), (?, ?)", "INSERT INTO t VALUES (?, …)"),
        ("WHERE a = %(a_1)s::VARCHAR", "WHERE a = ?"),
        ("SELECT items.name\n  FROM items2", "SELECT items.name FROM items2"),
        ("SELECT $$a'1$$, $tag$x $1$ y$tag$ WHERE a = $1", "SELECT ?, ? WHERE a = $1"),
        ("SELECT E'it\\'s secret123', 0xdeadbeef, 1e5", "SELECT ?, ?, ?"),
        (
            'SELECT "Name" FROM "order" WHERE "Name" = "secret" OR a.b = "order"."Id"',
            'SELECT "Name" FROM "order" WHERE "Name" = ? OR a.b = "order"."Id"',
        ),
        ('INSERT INTO t ("a") VALUES ("secret", "b")', 'INSERT INTO t ("a") VALUES (?, …)'),
        ("SELECT 'never closed " + "x" * 9000, "SELECT ?"),
    ],
)
def test_a_statements_shape_is_without_its_values(sql: str, expected: str) -> None:
    assert shape(sql) == expected


def test_a_shape_is_bounded_and_fast() -> None:
    began = time.process_time()
    assert len(shape("'" * 9001 + "(?, " * 5000)) <= 2000
    assert time.process_time() - began < 1


def add_query(app: Flask, sql: str, **values: Any) -> None:
    def view() -> str:
        db.session.execute(text(sql), values)
        return "ok"

    app.add_url_rule("/query", "query", view)


@pytest.mark.settings(SLOW_QUERY_MS=0)
def test_a_slow_query_is_told_with_request_route_and_shape_and_no_values(
    app: Flask, client: FlaskClient
) -> None:
    add_query(app, "SELECT 'Zq9xCanary7', :value", value="Zq9xCanary8")
    client.get("/query", headers={"X-Request-ID": "r1"})
    found = [one for one in log_lines(app, "slow_query") if one["request_id"]]
    assert {(one["request_id"], one["route"], one["level"]) for one in found} == {
        ("r1", "/query", "WARNING")
    }
    (record,) = [one for one in found if one["statement"] == "SELECT ?, ?"]
    assert record["duration_ms"] > 0
    assert record["details"]["line"].startswith("tests/observability/test_query_timer.py:")
    assert "Canary" not in Path(app.config["LOG_DIR"], "app.log").read_text()


def test_a_quick_query_is_counted_and_not_told(app: Flask, client: FlaskClient) -> None:
    add_query(app, "SELECT 1")
    before = counted()
    client.get("/query")
    assert counted() - before == 1
    assert log_lines(app, "slow_query") == []
    assert log_lines(app, "request")[0]["db_count"] == 1


def test_two_apps_in_one_process_count_a_statement_once_each(
    make_app: MakeApp, tmp_path: Path
) -> None:
    first = make_app()
    second = make_app(DATABASE_URL=f"sqlite:///{tmp_path / 'second.db'}")
    for app in (first, second):
        before = counted()
        with app.app_context():
            db.session.execute(text("SELECT 1"))
        assert counted() - before == 1


@pytest.mark.settings(SLOW_QUERY_MS=0)
def test_the_log_stores_statements_are_timed_too_and_never_told_as_slow(
    app_context: Flask,
) -> None:
    before = counted()
    for engine in (db.engines["logs"], db.engine):
        with engine.connect() as connection:
            connection.execute(text(f"SELECT 1 AS of_{engine is db.engine}"))
    assert counted() - before == 2
    told = [one["statement"] for one in log_lines(app_context, "slow_query")]
    assert [one for one in told if " AS of_" in one] == ["SELECT ? AS of_True"]


@pytest.mark.settings(SLOW_QUERY_MS=0)
def test_a_statement_that_fails_is_timed_once(app_context: Flask) -> None:
    before = counted()
    with pytest.raises(OperationalError):
        db.session.execute(text("SELECT * FROM nowhere"))
    assert counted() - before == 1
    told = [one["statement"] for one in log_lines(app_context, "slow_query")]
    assert told.count("SELECT * FROM nowhere") == 1


def test_a_result_that_cannot_be_set_up_does_not_count_a_statement_twice(
    app_context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_context: Any) -> None:
        raise sqlite3.OperationalError

    before = counted()
    context = db.engine.dialect.execution_ctx_cls
    monkeypatch.setattr(context, "_setup_result_proxy", refuse)
    with pytest.raises(OperationalError):
        db.session.execute(text("SELECT 1"))
    assert counted() - before == 1


def test_rows_that_cannot_be_fetched_do_not_count_a_statement_twice(app_context: Flask) -> None:
    before = counted()
    result = db.session.execute(
        text("SELECT abs(value) FROM (SELECT 1 AS value UNION ALL SELECT -9223372036854775808)")
    )
    with pytest.raises(OperationalError, match="overflow"):
        result.fetchall()
    assert counted() - before == 1


def test_a_failed_request_tells_the_sql_it_ran(app: Flask, client: FlaskClient) -> None:
    def view() -> str:
        for number in range(3):
            db.session.execute(text("SELECT :number"), {"number": number})
        raise LookupError

    app.add_url_rule("/broken", "broken", view)
    client.get("/broken")
    (record,) = log_lines(app, "request")
    (query,) = record["details"]["queries"]
    assert (query["statement"], query["count"]) == ("SELECT ?", 3)
    assert query["line"].startswith("tests/observability/test_query_timer.py:")
    assert 0 <= query["ms"] <= record["db_ms"] + 0.01


@pytest.mark.parametrize("sql", ["SELECT 1", "SELECT 1 FROM nowhere"])
def test_the_shortest_way_to_the_database_has_its_calling_line(
    app_context: Flask, sql: str
) -> None:
    stats = query_timer.start()
    with db.engine.connect() as connection, contextlib.suppress(OperationalError):
        connection.exec_driver_sql(sql)
    query_timer.stop()
    (query,) = stats.story()
    assert query["line"].startswith("tests/observability/test_query_timer.py:")


def test_an_account_keeps_so_many_kinds_and_counts_all() -> None:
    stats = QueryStats()
    for number in range(200):
        stats.add(f"SELECT {number}", None, stats.started, 1.0)
    stats.add("SELECT 0", None, stats.started, 2.0)
    assert (stats.count, stats.total_ms) == (201, 202.0)
    story = stats.story()
    assert len(story) == 50
    assert (story[0]["count"], story[0]["ms"]) == (2, 3.0)


def test_an_account_ends_with_its_work(app_context: Flask) -> None:
    stats = query_timer.start()
    db.session.execute(text("SELECT 1"))
    query_timer.stop()
    db.session.execute(text("SELECT 2"))
    assert stats.count == 1


def test_statements_that_one_line_repeats_are_a_probable_n_plus_one(
    app: Flask, client: FlaskClient
) -> None:
    def view() -> str:
        for times in (4, 5, 9):
            columns = ", ".join(["1"] * times)
            for _ in range(times):
                db.session.execute(text(f"SELECT {columns} AS last"))
        if request.args:
            raise LookupError
        return "ok"

    app.add_url_rule("/repeats", "repeats", view)
    client.get("/repeats")
    client.get("/repeats?fail=1")
    quick, failed = (one["details"] for one in log_lines(app, "request"))
    assert "queries" not in quick
    assert quick["n_plus_one"] == failed["n_plus_one"]
    assert [one["count"] for one in quick["n_plus_one"]] == [9, 5]
    assert quick["n_plus_one"][0]["line"].startswith("tests/observability/test_query_timer.py:")
    assert [one.get("n_plus_one") for one in failed["queries"]] == [None, True, True]


def test_what_is_told_of_repeats_is_bounded_and_needs_a_line() -> None:
    stats = QueryStats()
    for kind in range(40):
        for _ in range(5 + kind):
            stats.add(f"SELECT {kind} {'x' * 900}", "app/x.py:1", stats.started, 1.0)
            stats.add(f"SELECT {kind}", None, stats.started, 1.0)
    found = stats.n_plus_one()
    assert [one["count"] for one in found] == [29, 28, 27]
    assert len(str(found)) < 1000
    assert QueryStats().n_plus_one() == []
