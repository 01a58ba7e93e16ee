"""The extensions, made once and bound to each app in the factory; imports no package of the app."""

import sqlite3
from typing import Any

from flask import Flask, g, request
from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
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


class SessionCSRFProtect(CSRFProtect):  # type: ignore[misc]
    """Ask for a CSRF token wherever a session may act, which is not where an API token did."""

    def protect(self, apply_exemptions: bool = False) -> None:
        # Most requests only read; Flask-WTF knows the other methods that do.
        if request.method != "GET" and "api_token" not in g:
            super().protect(apply_exemptions)


db = SQLAlchemy(model_class=Base)
login_manager = LoginManager()
csrf = SessionCSRFProtect()


def init_database(app: Flask) -> None:
    """Bind the database; SQLite gets WAL and foreign keys."""
    db.init_app(app)
    with app.app_context():
        for engine in db.engines.values():
            if engine.dialect.name == "sqlite":
                event.listen(engine, "connect", _set_sqlite_pragmas)
            else:
                event.listen(engine, "do_connect", _connect_to_postgresql)


def _connect_to_postgresql(
    _dialect: Any, _record: Any, args: list[Any], options: dict[str, Any]
) -> Any:
    # The driver takes memory, which nobody needs who keeps his data elsewhere.
    from app.postgresql import ImpatientConnection

    return ImpatientConnection.connect(*args, **options)


def _set_sqlite_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
    cursor = connection.cursor()
    # Each waits up to five seconds for another worker's lock: Python's default.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
