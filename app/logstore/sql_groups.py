"""Count records of the SQL log store by their fields."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, cast, func, literal, select

from app.logstore.contract import Group, LogQuery
from app.logstore.record import keeps_for
from app.logstore.rows import column_for, details_key
from app.logstore.sql_filters import indexed, scanned
from app.models.log import Log


def read_groups(
    connection: Connection, query: LogQuery, fields: Sequence[str], limit: int
) -> list[Group]:
    """Return the most frequent combinations of these fields' values. Raises ValueError."""
    on_postgresql = connection.dialect.name == "postgresql"
    columns = [
        _column(field, on_postgresql=on_postgresql).label(f"value_{index}")
        for index, field in enumerate(fields)
    ]
    # PostgreSQL has no max() of a uuid.
    record_id: Any = cast(Log.id, Text) if on_postgresql else Log.id
    chosen = select(*columns, record_id.label("id")).where(*indexed(query), *scanned(query))
    if on_postgresql:
        levels = tuple(level.upper() for level in query.levels)
        chosen = chosen.where(Log.keep.in_(keeps_for(levels, query.actions)))
    inner = chosen.subquery()
    values = [inner.c[column.name] for column in columns]
    count, last = func.count().label("count"), func.max(inner.c.id).label("last")
    statement = (
        select(*values, count, last)
        .group_by(*values)
        .order_by(count.desc(), last.desc())
        .limit(limit)
    )
    rows = connection.execute(statement).all()
    return [Group(tuple(row[:-2]), row[-2], row[-1]) for row in rows]


def _column(field: str, *, on_postgresql: bool) -> ColumnElement[Any]:
    if (key := details_key(field)) is not None:
        if on_postgresql:
            return func.json_extract_path_text(Log.details, literal(key))
        return func.json_extract(Log.details, literal('$."' + key.replace('"', "") + '"'))
    column: ColumnElement[Any] = Log.__table__.columns[column_for(field)]
    return column
