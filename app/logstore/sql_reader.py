"""Read the SQL log store: by the order of ids, and by the order of storing."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    asc,
    desc,
    func,
    literal_column,
    select,
    union_all,
)

from app.logstore.contract import LogQuery
from app.logstore.filters import actions_are_rare, is_exact, levels_are_rare, upper
from app.logstore.record import keeps_for
from app.logstore.rows import from_row
from app.logstore.sql_filters import indexed, scanned
from app.models.log import Log, LogCheckpoint

_TABLE: Any = Log.__table__
_Conditions = Sequence[ColumnElement[bool]]
_Statement = Select[Any] | CompoundSelect[Any]


class SqlReader:
    """Read the records of one query; `reading.Reader` says what each method does."""

    def __init__(self, connection: Connection, query: LogQuery, fields: Sequence[str] = ()) -> None:
        self._connection = connection
        self._query = query
        self._on_postgresql = connection.dialect.name == "postgresql"
        self._low, self._high = query.id_bounds()
        self._branches = self._split(replace(query, since=None, until=None))
        self._scanned = scanned(query)
        self._fields = fields and ("id", *fields)
        self._columns = [_TABLE.c[name] for name in self._fields] or _TABLE.c

    @property
    def scans(self) -> bool:
        return bool(self._scanned) or not is_exact(self._query)

    def rows(self, before: str | None, edge: str | None, limit: int) -> list[dict[str, Any]]:
        within = [*self._scanned, *self._from(edge), *self._until(before)]
        return self._some(self._newest(self._columns, within, limit).limit(limit))

    def newer(self, after: str, limit: int) -> list[dict[str, Any]]:
        begin = [Log.id > after] if after >= (self._low or "") else self._from(None)
        within = [*self._scanned, *begin, *self._until(None)]
        return self._some(self._ordered(self._columns, within, limit, asc).limit(limit))

    def edge(self, before: str | None, size: int) -> str | None:
        within = [*self._from(None), *self._until(before)]
        statement = self._newest([_TABLE.c.id], within, size).offset(size - 1).limit(1)
        edge: str | None = self._connection.execute(statement).scalar()
        return edge

    def ends(self) -> dict[str, int]:
        statement = (
            select(LogCheckpoint.source, func.max(LogCheckpoint.next_seq) - 1)
            .group_by(LogCheckpoint.source)
            .order_by(LogCheckpoint.source)
        )
        return {source: int(end) for source, end in self._connection.execute(statement)}

    def between(self, source: str, last: int, upto: int, limit: int) -> list[dict[str, Any]]:
        statement = (
            select(*_TABLE.c)
            .where(Log.source == source, Log.seq > last, Log.seq <= upto)
            .where(*indexed(self._query), *self._scanned)
            .order_by(Log.seq)
            .limit(limit)
        )
        return self._records(statement)

    def _from(self, edge: str | None) -> list[ColumnElement[bool]]:
        """Return the lower bound of ids, one: of two SQLite takes one and passes the other."""
        low = max((one for one in (edge, self._low) if one), default=None)
        return [Log.id >= low] if low else []

    def _until(self, before: str | None) -> list[ColumnElement[bool]]:
        """Return the upper bound of ids, one as well."""
        high = min((one for one in (before, self._high) if one), default=None)
        return [Log.id < high] if high else []

    def _some(self, statement: _Statement) -> list[dict[str, Any]]:
        if not self._fields:
            return self._records(statement)
        rows = self._connection.execute(statement).all()
        return [dict(zip(self._fields, row, strict=True)) for row in rows]

    def _records(self, statement: _Statement) -> list[dict[str, Any]]:
        # Row by row the driver takes three times as long.
        return [from_row(row) for row in self._connection.execute(statement).mappings().all()]

    def _split(self, query: LogQuery) -> list[list[ColumnElement[bool]]]:
        """Return conditions whose rows an index has in order; together they are the query's.

        A list of values, or of keep classes, is several stretches of an index: sorting all of
        them to show 50 rows would take as long as there are rows.
        """
        levels = tuple(upper(query.levels))
        each = [query]
        if levels_are_rare(query):
            each = [replace(query, levels=(one,)) for one in sorted(set(levels))]
        if self._on_postgresql:
            # Only in this class they are few among others.
            return [
                [Log.keep == keep, *indexed(one)]
                for keep in keeps_for(levels, query.actions)
                for one in (each if keep == "operation" else [query])
            ]
        if actions_are_rare(query):
            each = [replace(query, actions=(one,)) for one in sorted(set(query.actions))]
        return [indexed(one) for one in each]

    def _newest(self, columns: Any, conditions: _Conditions, limit: int) -> _Statement:
        return self._ordered(columns, conditions, limit, desc)

    def _ordered(
        self, columns: Any, conditions: _Conditions, limit: int, direction: Any
    ) -> _Statement:
        branches = [
            select(*columns).where(*branch, *conditions).order_by(direction(_TABLE.c.id))
            for branch in self._branches
        ]
        if len(branches) == 1:
            return branches[0]
        limited = [branch.limit(limit) for branch in branches]
        if not self._on_postgresql:
            # It knows no parentheses around the parts.
            limited = [select(branch.subquery()) for branch in limited]
        return union_all(*limited).order_by(direction(literal_column("id")))
