"""Look up the records of one exception in the SQL log store: the first, the newest, its users."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    String,
    Text,
    cast,
    column,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from app.logstore.error_groups import USERS_AMONG, Occurrences
from app.logstore.record import KEEPS
from app.logstore.rows import COLUMNS, from_row
from app.models.log import Log, RecordId

# A traceback is longer than all the rest.
_LEFT_OUT = {"exception_traceback": None, "statement": None}
_COLUMNS = [Log.__table__.c[name] for name in COLUMNS if name not in _LEFT_OUT]


def read_occurrences(
    connection: Connection, fingerprints: Sequence[str], floor: str
) -> Mapping[str, Occurrences]:
    """Return what there is of each fingerprint; users from the id `floor` on."""
    if not fingerprints:
        return {}
    on_postgresql = connection.dialect.name == "postgresql"
    found = connection.execute(_statement(fingerprints, floor, on_postgresql)).all()
    ids = {record_id for _, first, newest, _ in found for record_id in (first, newest)} - {None}
    statement = select(*_COLUMNS).where(_among(ids, on_postgresql), Log.keep.in_(KEEPS))
    rows = connection.execute(statement).mappings().all()
    records = {row["id"]: from_row({**row, **_LEFT_OUT}) for row in rows}
    return {
        fingerprint: Occurrences(records[first], records[newest], _different(users))
        for fingerprint, first, newest, users in found
        if first in records and newest in records
    }


def _among(ids: Iterable[str], on_postgresql: bool) -> ColumnElement[bool]:
    # One value there, as below; SQLite has none that is a list.
    wanted = sorted(ids)
    return (
        Log.id == func.any(literal(wanted, ARRAY(RecordId)))
        if on_postgresql
        else Log.id.in_(wanted)
    )


def _different(users: str | None) -> int:
    return len({*orjson.loads(users or "[]")} - {None})


def _statement(fingerprints: Sequence[str], floor: str, on_postgresql: bool) -> Any:
    """Return (fingerprint, first id, newest id, users): each is looked up in the index alone."""
    # In one value: a statement that is as long as its list is put together and planned anew.
    listed = literal(orjson.dumps(fingerprints).decode(), Text)
    rows: Any = (
        func.json_array_elements_text(cast(listed, JSON))
        if on_postgresql
        else func.json_each(listed)
    )
    wanted = rows.table_valued(column("value", String), name="wanted")
    mine = Log.exception_fingerprint == wanted.c.value
    first = select(Log.id).where(mine).order_by(Log.id).limit(1)
    newest = select(Log.id).where(mine).order_by(Log.id.desc()).limit(1)
    latest = (
        select(Log.user_id)
        .where(mine, Log.id >= floor)
        .order_by(Log.id.desc())
        .limit(USERS_AMONG)
        .correlate(wanted)
        .subquery()
    )
    # Counted here: PostgreSQL sorts to tell them apart.
    listed_users: Any = func.json_agg if on_postgresql else func.json_group_array
    users = select(cast(listed_users(latest.c.user_id), Text))
    found = [one.correlate(wanted).scalar_subquery() for one in (first, newest, users)]
    return select(wanted.c.value, *found)
