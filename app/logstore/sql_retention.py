"""What retention asks of the SQL log store: what is expired, delete it, and who may do so."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from app.logstore.rows import from_row
from app.models.log import Log, LogLease
from app.models.types import utc_now

_TABLE: Any = Log.__table__


def read_expired(
    connection: Connection, keep: str, before: str, after_id: str | None, limit: int
) -> list[dict[str, Any]]:
    """Return records of one class in a range of ids, oldest first."""
    statement = select(*_TABLE.c).where(Log.keep == keep, Log.id < before)
    if after_id:
        statement = statement.where(Log.id > after_id)
    rows = connection.execute(statement.order_by(Log.id).limit(limit)).mappings()
    return [from_row(row) for row in rows]


def delete_records(connection: Connection, keep: str, ids: Sequence[str]) -> int:
    """Delete records by their whole key; return how many there were."""
    chosen = delete(_TABLE).where(Log.keep == keep, Log.id.in_(ids))
    return int(connection.execute(chosen).rowcount)


def take_lease(connection: Connection, name: str, holder: str, seconds: float) -> bool:
    """Take a lease that is free, run out or one's own, in one statement."""
    on_postgresql = connection.dialect.name == "postgresql"
    insert = postgresql.insert if on_postgresql else sqlite.insert
    now = utc_now()
    values = {"holder": holder, "expires_at": now + timedelta(seconds=seconds)}
    statement = insert(LogLease).values(name=name, **values)
    taken = statement.on_conflict_do_update(
        index_elements=["name"],
        set_=values,
        where=(LogLease.holder == holder) | (LogLease.expires_at <= now),
    )
    return connection.execute(taken.returning(LogLease.name)).first() is not None
