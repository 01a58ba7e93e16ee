"""Where log records live after the file; `contract.py` says what a store does."""

from typing import cast

from flask import Flask, current_app

from app.extensions import db
from app.logstore.contract import LogStore
from app.logstore.mongo_store import MongoStore
from app.logstore.sql_store import SqlStore


def init_app(app: Flask) -> None:
    """Give the app the log store that LOG_STORE_URL names; needs the database bound."""
    url = app.config["LOG_STORE_URL"]
    with app.app_context():
        store = MongoStore(url) if url.startswith("mongodb") else SqlStore(db.engines["logs"])
        app.extensions["log_store"] = store


def current_store() -> LogStore:
    """Return the log store of the current app."""
    return cast("LogStore", current_app.extensions["log_store"])
