"""Where log records live after the file; `contract.py` says what a store does."""

from typing import cast

from flask import Flask, current_app

from app.extensions import db
from app.logstore.contract import LogStore
from app.logstore.sql_store import SqlStore


def init_app(app: Flask) -> None:
    """Give the app its log store; needs the database bound."""
    with app.app_context():
        app.extensions["log_store"] = SqlStore(db.engines["logs"])


def current_store() -> LogStore:
    """Return the log store of the current app."""
    return cast("LogStore", current_app.extensions["log_store"])
