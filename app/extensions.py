"""The extensions, made once and bound to each app in the factory; imports nothing of the app."""

import contextlib
import sqlite3
from typing import Any

import psycopg
from flask import Flask, current_app, request
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from psycopg.abc import RV, PQGen
from psycopg.pq import TransactionStatus
from sqlalchemy import MetaData, event
from sqlalchemy.orm import DeclarativeBase

# Names for constraints, so that a migration can name what it drops on every database.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)


class ImpatientConnection(psycopg.Connection):
    """A connection to PostgreSQL that gives up when an answer takes longer than `patience`.

    No other timeout helps against a server that is stopped while its kernel still answers.
    """

    # Seconds; None waits for ever.
    patience: float | None = 60

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.OperationalError:
            if timeout is None and self.info.transaction_status == TransactionStatus.ACTIVE:
                # It still works on it: ask it to stop, if it hears, and never use this one again.
                with contextlib.suppress(psycopg.Error):
                    self.cancel_safe(timeout=2)
                self.close()
            raise


class QuickCSRFProtect(CSRFProtect):  # type: ignore[misc]
    """Look first whether a request can change anything, and only then for exempted views."""

    def protect(self, apply_exemptions: bool = False) -> None:
        if request.method in current_app.config["WTF_CSRF_METHODS"]:
            super().protect(apply_exemptions)


db = SQLAlchemy(model_class=Base)
migrate = Migrate()
login_manager = LoginManager()
csrf = QuickCSRFProtect()


def init_database(app: Flask) -> None:
    """Bind the database and its migrations; SQLite gets WAL and foreign keys."""
    db.init_app(app)
    migrate.init_app(app, db, directory=f"{app.root_path}/../migrations", compare_type=True)
    with app.app_context():
        for engine in db.engines.values():
            if engine.dialect.name == "sqlite":
                event.listen(engine, "connect", _set_sqlite_pragmas)
            else:
                event.listen(engine, "do_connect", _connect_to_postgresql)


def _connect_to_postgresql(
    _dialect: Any, _record: Any, args: list[Any], options: dict[str, Any]
) -> "psycopg.Connection[Any]":
    return ImpatientConnection.connect(*args, **options)


def _set_sqlite_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
    cursor = connection.cursor()
    # Each waits up to five seconds for another worker's lock: Python's default.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
