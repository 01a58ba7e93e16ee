"""Write and read the counts of the SQL log store."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, delete, func, literal_column, or_, select, text
from sqlalchemy.dialects import postgresql

from app.logstore.counts import Key, Selection, Tile
from app.models.log import LogCount

_TABLE: Any = LogCount.__table__
_NAMES = (*Key._fields, "count")
_LIST, _KEY = ", ".join(_NAMES), ", ".join(Key._fields)
_ADD = f" ON CONFLICT ({_KEY}) DO UPDATE SET count = log_counts.count + excluded.count"
_SQLITE = f"INSERT INTO log_counts ({_LIST}) VALUES ({', '.join('?' * len(_NAMES))}){_ADD}"  # noqa: S608
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_TYPES = ", ".join(f"{one.name} {one.type.compile(_DIALECT)}" for one in _TABLE.columns)
# In one JSON value, as the records travel.
_POSTGRESQL = (
    f"INSERT INTO log_counts ({_LIST}) SELECT {_LIST} FROM json_to_recordset(%s) "  # noqa: S608
    f"AS batch({_TYPES}){_ADD}"
)


def add_counts(connection: Connection, counts: Mapping[Key, int]) -> None:
    """Add to the counts there are, in the connection's transaction."""
    if not counts:
        return
    # In the order of the key, so that two writers never wait for each other in a circle.
    rows = [(*key, count) for key, count in sorted(counts.items())]
    if connection.dialect.name == "postgresql":
        batch = [dict(zip(_NAMES, row, strict=True)) for row in rows]
        connection.exec_driver_sql(_POSTGRESQL, (orjson.dumps(batch).decode(),))
    else:
        connection.exec_driver_sql(_SQLITE, rows)


def read_sums(
    connection: Connection, chosen: Selection, tile: Tile, fields: Sequence[str], step: int | None
) -> Iterator[tuple[Any, ...]]:
    """Return each (start of `step`, values of the fields, sum) within a tile; no start without."""
    columns: list[ColumnElement[Any]] = [_TABLE.c[name] for name in fields]
    if step is not None:
        # A parameter would not be the same in the list and in the grouping.
        columns.insert(0, literal_column(f"start - start % {step:d}"))
    statement = (
        select(*columns, func.sum(_TABLE.c.count))
        .where(*_within(tile), *_conditions(chosen))
        .group_by(*columns)
    )
    for *values, count in connection.execute(statement):
        # PostgreSQL sums up to a Decimal; of nothing there is none.
        yield (*values, int(count or 0))


def oldest_start(connection: Connection, step: int) -> int | None:
    """Return the first start that has counts of a step."""
    statement = select(func.min(_TABLE.c.start)).where(_TABLE.c.step == step)
    oldest: int | None = connection.execute(statement).scalar()
    return oldest


def delete_counts(connection: Connection, tile: Tile) -> int:
    """Delete the counts within a tile; return how many."""
    return int(connection.execute(delete(_TABLE).where(*_within(tile))).rowcount)


def _within(tile: Tile) -> list[ColumnElement[bool]]:
    start = _TABLE.c.start
    return [_TABLE.c.step == tile.step, start >= tile.low, start < tile.high]


def _conditions(chosen: Selection) -> Iterable[ColumnElement[bool]]:
    if chosen.levels:
        yield _TABLE.c.level.in_(chosen.levels)
    if chosen.actions:
        yield _TABLE.c.action.in_(chosen.actions)
    if chosen.without_actions:
        yield _TABLE.c.action.not_in(chosen.without_actions)
    if chosen.route is not None:
        yield _TABLE.c.route == chosen.route
    if chosen.class_min is not None:
        yield _TABLE.c.status_class >= chosen.class_min
    if chosen.class_max is not None:
        yield _TABLE.c.status_class <= chosen.class_max
