import os
import signal
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from app.extensions import db
from app.postgresql import ImpatientConnection


def test_a_server_that_stops_answering_is_given_up_and_the_next_request_is_served(
    make_app: Callable[..., Flask], postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(DATABASE_URL=postgres_url)
    with app.app_context():
        one = db.text("SELECT pg_backend_pid()")
        stopped = db.session.scalar(one)
        monkeypatch.setattr(ImpatientConnection, "patience", 1)
        os.kill(stopped, signal.SIGSTOP)
        try:
            with pytest.raises(OperationalError):
                db.session.scalar(one)
            db.session.rollback()
            assert db.session.scalar(one) != stopped
        finally:
            os.kill(stopped, signal.SIGCONT)


def test_an_error_of_the_server_costs_no_connection(
    make_app: Callable[..., Flask], postgres_url: str
) -> None:
    app = make_app(DATABASE_URL=postgres_url)
    with app.app_context(), db.engine.connect() as connection:
        pid = connection.scalar(db.text("SELECT pg_backend_pid()"))
        connection.execute(db.text("SET statement_timeout = 50"))
        connection.commit()
        with pytest.raises(OperationalError):
            connection.execute(db.text("SELECT pg_sleep(30)"))
        connection.rollback()
        assert connection.scalar(db.text("SELECT pg_backend_pid()")) == pid
