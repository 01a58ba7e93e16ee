"""Things that go wrong on purpose, so that the log pages have something to show."""

import sqlite3
import time

from flask import current_app
from sqlalchemy import func, select, text

from app.extensions import db
from app.models.item import Item
from app.models.user import User

# However slow "slow" is set to be, a visitor does not wait longer than this.
LONGEST_SECONDS = 5.0
N_PLUS_ONE_ITEMS = 20


def average_debt() -> float:
    """Return the average of all negative quantities; there are none, which nobody thought of.

    Raises ZeroDivisionError after three statements: an ordinary bug, for /demo/error.
    """
    items = db.session.scalar(select(func.count(Item.id))) or 0
    owners = db.session.scalar(select(func.count(Item.owner_id.distinct()))) or 0
    debts = db.session.scalars(select(Item.quantity).where(Item.quantity < 0)).all()
    return items * owners * sum(debts) / len(debts)


def run_slow_statement() -> float:
    """Run one statement that takes longer than SLOW_QUERY_MS; return its seconds."""
    seconds = min(0.05 + current_app.config["SLOW_QUERY_MS"] * 1.1 / 1000, LONGEST_SECONDS)
    connection = db.session.connection().connection.driver_connection
    if isinstance(connection, sqlite3.Connection):
        # SQLite cannot sleep; under this name the same statement runs on both databases.
        connection.create_function("pg_sleep", 1, time.sleep)
    started = time.perf_counter()
    db.session.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})
    return time.perf_counter() - started


def owners_one_by_one() -> list[tuple[str, str]]:
    """Return items and their owners' names with one statement an item, where one would do."""
    items = db.session.execute(
        select(Item.name, Item.owner_id).order_by(Item.id.desc()).limit(N_PLUS_ONE_ITEMS)
    ).all()
    return [
        (item.name, db.session.scalars(select(User.name).where(User.id == item.owner_id)).one())
        for item in items
    ]
