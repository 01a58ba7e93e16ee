from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError

from app.extensions import NAMING, csrf, db, login_manager


def pragma(name: str, bind: str | None = None) -> Any:
    with db.engines[bind].connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


@pytest.mark.parametrize("bind", [None, "logs"])
def test_sqlite_writes_ahead_waits_and_keeps_foreign_keys(
    app_context: Flask, bind: str | None
) -> None:
    assert pragma("journal_mode", bind) == "wal"
    assert pragma("busy_timeout", bind) == 5000
    assert pragma("foreign_keys", bind) == 1


def test_data_and_logs_are_in_files_of_their_own(app_context: Flask) -> None:
    data, logs = db.engines[None].url.database, db.engines["logs"].url.database
    assert data != logs


def test_constraints_have_names_that_a_migration_can_use(app: Flask) -> None:
    assert db.metadata.naming_convention["fk"] == NAMING["fk"]
    for table in db.metadata.tables.values():
        for constraint in table.constraints:
            assert constraint.name, (table.name, constraint)


@pytest.mark.parametrize("bind", [None, "logs"])
def test_an_error_shows_the_statement_and_not_its_values(
    app_context: Flask, bind: str | None
) -> None:
    with db.engines[bind].connect() as connection:
        connection.exec_driver_sql("CREATE TEMP TABLE secrets (value TEXT PRIMARY KEY)")
        insert = db.text("INSERT INTO secrets VALUES (:value)")
        connection.execute(insert, {"value": "canary-value"})
        with pytest.raises(IntegrityError) as failure:
            connection.execute(insert, {"value": "canary-value"})
    assert "canary-value" not in str(failure.value)
    assert failure.value.hide_parameters


def test_each_extension_knows_the_app(app: Flask) -> None:
    assert app.extensions["sqlalchemy"] is db
    assert app.extensions["csrf"] is csrf
    assert app.login_manager is login_manager  # type: ignore[attr-defined]
