"""Take the records of committed changes out of the outbox."""

from collections.abc import Iterable
from typing import Any

import orjson
from sqlalchemy import Engine, delete, select

from app.logstore.record import time_of, to_timestamp, valid_id
from app.logstore.sql_errors import store_errors
from app.models.outbox import OutboxRecord

SEGMENT = "outbox"
_BATCH = 500
_TABLE: Any = OutboxRecord.__table__


def waiting(engine: Engine) -> list[tuple[str, dict[str, Any]]]:
    """Return some of the rows that wait, oldest first, as (row's id, record)."""
    statement = select(_TABLE.c.id, _TABLE.c.record).order_by(_TABLE.c.id).limit(_BATCH)
    with store_errors("database"), engine.connect() as connection:
        return [(row_id, _record(row_id, text)) for row_id, text in connection.execute(statement)]


def remove(engine: Engine, row_ids: Iterable[str]) -> None:
    """Delete rows whose records are stored."""
    with store_errors("database"), engine.begin() as connection:
        connection.execute(delete(_TABLE).where(_TABLE.c.id.in_(list(row_ids))))


def _record(row_id: str, text: str) -> dict[str, Any]:
    try:
        data = orjson.loads(text)
    except ValueError:
        data = None
    known = valid_id(row_id)
    own = {"id": row_id} if known else {}
    if isinstance(data, dict):
        return data if valid_id(data.get("id")) else {**data, **own}
    return {
        **own,
        **({"timestamp": to_timestamp(time_of(known))} if known else {}),
        "level": "WARNING",
        "logger": "app.logstore",
        "message": "Unreadable outbox row",
        "details": {"fragment": text, "row": row_id},
    }
