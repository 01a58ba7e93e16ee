"""Where log records live after the file; `contract.py` says what a store does."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import cast

from flask import Flask, current_app

from app.extensions import db
from app.logstore.contract import LogReader, LogStore
from app.logstore.file_store import FileStore
from app.logstore.sql_store import SqlStore

_files: ContextVar[FileStore | None] = ContextVar("log_files", default=None)


def init_app(app: Flask) -> None:
    """Give the app the log store that LOG_STORE_URL names; needs the database bound."""
    with app.app_context():
        app.extensions["log_store"] = _store_at(app.config["LOG_STORE_URL"])


def _store_at(url: str) -> LogStore:
    if not url.startswith("mongodb"):
        return SqlStore(db.engines["logs"])
    # The driver takes memory, which nobody needs who keeps the log elsewhere.
    from app.logstore.mongo_store import MongoStore

    return MongoStore(url)


def current_store() -> LogStore:
    """Return the log store of the current app."""
    return cast("LogStore", current_app.extensions["log_store"])


def current_reader() -> LogReader:
    """Return whom questions go to: the files of a command that names some, else the store."""
    return current_files() or current_store()


def current_files() -> FileStore | None:
    """Return the files that are asked instead of the store, None when none are."""
    return _files.get()


@contextmanager
def asking(files: FileStore) -> Iterator[None]:
    """Have the questions of a `with` block answered by files."""
    token = _files.set(files)
    try:
        yield
    finally:
        _files.reset(token)
