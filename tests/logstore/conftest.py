from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from app.logstore.contract import LogStore
from tests.logstore.stores import open_engine, open_store


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine with the log's tables, once on SQLite and once on PostgreSQL."""
    opened = open_engine(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def log_store(store_url: str) -> Iterator[LogStore]:
    """A store that is ready, once on each database that can be one."""
    with open_store(store_url) as opened:
        yield opened


@pytest.fixture
def log_dir(tmp_path: Path) -> Path:
    return tmp_path / "logs"


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    """For what does not depend on the store."""
    engine = open_engine(f"sqlite:///{tmp_path / 'logs.db'}")
    yield engine
    engine.dispose()
