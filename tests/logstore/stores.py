"""What tests of the log store share: a store on any database, records, log files."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, func, select

from app.extensions import _set_sqlite_pragmas, db
from app.logstore.contract import Checkpoint, LogQuery, Page
from app.logstore.mongo_store import MongoStore
from app.logstore.record import to_timestamp
from app.logstore.sql_store import SqlStore
from app.models.log import Log
from app.models.outbox import OutboxRecord
from app.observability.ids import new_id
from tests.log_records import id_at
from tests.mongo_server import close_clients

SOURCE = "0f0e0d0c-0000-4000-8000-000000000001"


def open_engine(url: str, *, tables: bool = True) -> Engine:
    """Return an engine as the app makes it, with the tables of the log and the outbox."""
    engine = create_engine(url, hide_parameters=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_sqlite_pragmas)
    if tables:
        db.metadatas["logs"].create_all(engine)
        OutboxRecord.__table__.create(engine, checkfirst=True)
    return engine


@contextmanager
def open_store(url: str, *, ready: bool = True) -> Iterator[Any]:
    """Give the store of an address; `ready` with all it needs."""
    if url.startswith("mongodb"):
        store = MongoStore(url)
        if ready:
            store.prepare()
        yield store
        close_clients(store)
        return
    engine = open_engine(url, tables=ready)
    yield SqlStore(engine)
    engine.dispose()


def everything(store: Any) -> list[dict[str, Any]]:
    """Return every record that a store has, in the order of storing."""
    found: list[dict[str, Any]] = []
    page = Page([], "the first")
    while page.next:
        page = store.page(LogQuery(), page.next, 1000)
        found += page.records
    return sorted(found, key=lambda one: (one["source"], one["seq"]))


def sample(at: datetime | None = None, **fields: Any) -> dict[str, Any]:
    """Return a record; `at` is its time, also in its id."""
    moment = at or datetime.now(UTC)
    return {
        "id": id_at(at) if at is not None else new_id(),
        "timestamp": to_timestamp(moment),
        "level": "INFO",
        "logger": "app.test",
        "message": "sample",
        **fields,
    }


def put(
    store: Any, *records: dict[str, Any], source: str = SOURCE, segment: str = "a"
) -> list[str]:
    """Append records behind what the store has of this source."""
    known = store.checkpoints(source)
    seq = max((one.next_seq for one in known), default=1)
    found: list[str] = store.append(records, Checkpoint(source, segment, 0, False, seq))
    return found


def line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def write_lines(path: Path, *records: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(b"".join(line(record) for record in records))


def stored(engine: Engine, column: str = "message") -> list[Any]:
    """Return a column of every stored record, in the order of storing."""
    with engine.connect() as connection:
        statement = select(Log.__table__.c[column]).order_by(Log.seq)
        return list(connection.scalars(statement))


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(select(func.count()).select_from(Log.__table__)) or 0)


def messages(*names: str) -> list[dict[str, Any]]:
    return [sample(message=name) for name in names]


def rotate(log_dir: Path, number: int) -> Path:
    path = log_dir / f"app.log.{number:06d}"
    (log_dir / "app.log").rename(path)
    return path
