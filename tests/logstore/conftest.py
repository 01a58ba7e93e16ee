from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from app.logstore.sql_store import SqlStore
from tests.logstore.stores import open_engine


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine with the log's tables, once on SQLite and once on PostgreSQL."""
    opened = open_engine(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def log_store(engine: Engine) -> SqlStore:
    return SqlStore(engine)
