"""Read the SQL log store newest first: pages by key, and searches in slices under a deadline."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select, union_all

from app.logstore.contract import LogQuery, Page
from app.logstore.matching import has_text
from app.logstore.record import keeps_for, time_of, valid_id
from app.logstore.rows import from_row
from app.logstore.sql_filters import actions_are_rare, indexed, levels_are_rare, scanned
from app.models.log import Log

_TABLE: Any = Log.__table__
_Conditions = Sequence[ColumnElement[bool]]
_FIRST_SLICE = 1_000
_LAST_SLICE = 16_000


def read_page(
    connection: Connection, query: LogQuery, before: str | None, limit: int, deadline: float
) -> Page:
    """Return up to `limit` records older than `before`; a search may stop after `deadline` s."""
    reader = _Reader(connection, query)
    cursor = valid_id(before)
    if not scanned(query):
        return _page(reader.rows(_older(cursor), limit + 1), limit)
    end = time.monotonic() + deadline
    found: list[dict[str, Any]] = []
    size = _FIRST_SLICE
    while True:
        edge = reader.edge(_older(cursor), size)
        within = _older(cursor) + ([Log.id >= edge] if edge else [])
        wanted = limit + 1 - len(found)
        rows = reader.rows([*scanned(query), *within], wanted)
        found += [row for row in rows if has_text(query, row)]
        if len(found) > limit:
            return _page(found, limit)
        if len(rows) == wanted:
            # Some of them did not match after all: what lies behind them in the slice is unseen.
            cursor = rows[-1]["id"]
        elif edge is None:
            return Page(found)
        else:
            cursor = edge
        if time.monotonic() >= end and cursor is not None:
            return Page(found, cursor, time_of(cursor))
        size = min(size * 2, _LAST_SLICE)


class _Reader:
    """Read rows for one query, in the order of their ids."""

    def __init__(self, connection: Connection, query: LogQuery) -> None:
        self._connection = connection
        self._on_postgresql = connection.dialect.name == "postgresql"
        self._branches = self._split(query)

    def rows(self, conditions: _Conditions, limit: int) -> list[dict[str, Any]]:
        """Return the newest records that fulfil the query's indexed conditions and these."""
        statement = self._newest(_TABLE.c, conditions, limit).limit(limit)
        return [from_row(row) for row in self._connection.execute(statement).mappings()]

    def edge(self, conditions: _Conditions, size: int) -> str | None:
        """Return the id of the `size`-th newest record, None when there are fewer."""
        statement = self._newest([_TABLE.c.id], conditions, size).offset(size - 1).limit(1)
        edge: str | None = self._connection.execute(statement).scalar()
        return edge

    def _split(self, query: LogQuery) -> list[list[ColumnElement[bool]]]:
        """Return conditions whose rows an index has in order; together they are the query's.

        A list of values, or of keep classes, is several stretches of an index: sorting all of
        them to show 50 rows would take as long as there are rows.
        """
        if self._on_postgresql:
            levels = tuple(level.upper() for level in query.levels)
            return [
                [Log.keep == keep, *indexed(query)] for keep in keeps_for(levels, query.actions)
            ]
        if actions_are_rare(query):
            return [indexed(replace(query, actions=(one,))) for one in sorted(set(query.actions))]
        if levels_are_rare(query):
            return [indexed(replace(query, levels=(one,))) for one in sorted(set(query.levels))]
        return [indexed(query)]

    def _newest(self, columns: Any, conditions: _Conditions, limit: int) -> Select[Any]:
        branches = [
            select(*columns).where(*branch, *conditions).order_by(_TABLE.c.id.desc())
            for branch in self._branches
        ]
        if len(branches) == 1:
            return branches[0]
        limited = [select(branch.limit(limit).subquery()) for branch in branches]
        together = union_all(*limited).subquery()
        return select(together).order_by(together.c.id.desc())


def _older(cursor: str | None) -> list[ColumnElement[bool]]:
    return [Log.id < cursor] if cursor else []


def _page(records: list[dict[str, Any]], limit: int) -> Page:
    more = len(records) > limit
    records = records[:limit]
    return Page(records, records[-1]["id"] if more and records else None)
