import re

import pytest
from flask import Flask
from sqlalchemy import inspect

from app import db
from app.logstore.record import LogRecord
from app.models.log import Log, LogCheckpoint
from app.models.types import utc_now
from app.observability.ids import new_id


def row(**values: object) -> Log:
    given = {"id": new_id(), "keep": "info", "source": "s", "seq": 1, "timestamp": utc_now(),
             "level": "INFO", "logger": "", "message": "", "details": {}}  # fmt: skip
    return Log(**{**given, **values})


def test_the_model_has_a_column_for_each_name_of_the_contract(app_context: Flask) -> None:
    flat = set(LogRecord.__annotations__) - {"exception"}
    flat |= {f"exception_{part}" for part in ("type", "message", "traceback", "fingerprint")}
    assert {column.name for column in Log.__table__.columns} == flat | {"source", "seq"}


def test_a_record_is_found_by_action_through_the_model(app_context: Flask) -> None:
    db.session.add_all([row(action="login", details={"ä": [1]}), row(action="logout", seq=2)])
    db.session.commit()
    found = db.session.scalars(db.select(Log).filter_by(action="login")).one()
    assert found.details == {"ä": [1]}
    assert found.timestamp.tzinfo is not None
    assert Log.query.filter_by(action="logout").count() == 1


@pytest.mark.settings(LOG_STORE_URL="mongodb://127.0.0.1:1/logs")
def test_a_log_that_is_not_in_sql_is_asked_through_the_service(app_context: Flask) -> None:
    with pytest.raises(RuntimeError, match=r"use app\.services\.log_service"):
        Log.query.filter_by(action="login")


def test_log_tables_live_in_the_log_database_only(app_context: Flask) -> None:
    names = {Log.__tablename__, LogCheckpoint.__tablename__}
    assert names <= set(inspect(db.engines["logs"]).get_table_names())
    assert not names & set(inspect(db.engine).get_table_names())


def test_details_are_kept_as_written(app_context: Flask) -> None:
    db.session.add(row(details={"note": "größe"}))
    db.session.commit()
    with db.engines["logs"].connect() as connection:
        text = connection.exec_driver_sql("SELECT details FROM logs").scalar()
    assert re.fullmatch(r'\{"note": ?"größe"\}', text)
