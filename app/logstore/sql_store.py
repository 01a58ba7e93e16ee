"""The log store on SQLite and PostgreSQL."""

import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, delete, exists, select
from sqlalchemy.orm import aliased

from app.logstore import sql_partition_drop, sql_retention
from app.logstore.contract import Checkpoint, Group, LogQuery, Page, Stretch
from app.logstore.count_questions import CountQuestions
from app.logstore.error_groups import Occurrences
from app.logstore.reading import read_after, read_newer, read_page
from app.logstore.record import KEEPS, valid_id
from app.logstore.rows import from_row
from app.logstore.sql_append import Appender
from app.logstore.sql_counts import SqlCounts
from app.logstore.sql_errors import store_errors
from app.logstore.sql_groups import read_groups
from app.logstore.sql_occurrences import read_occurrences
from app.logstore.sql_reader import SqlReader
from app.logstore.waiting import Meanwhile, nothing
from app.models.log import Log, LogCheckpoint

T = TypeVar("T")


class SqlStore(CountQuestions):
    """Keep records in the tables of `app.models.log`; `contract.LogStore` says what each does.

    A search stops after `deadline` seconds and says how far it came. Safe to use after a fork.
    """

    def __init__(self, engine: Engine, deadline: float = 0.06) -> None:
        self._engine = engine
        self._deadline = deadline
        self._appender = Appender(engine)
        self._held = threading.local()
        _forget_connections_after_fork(engine)

    @property
    def refused(self) -> Counter[str]:
        """Return how many records the database refused: stored `encoded`, or `refused` even so."""
        return self._appender.refused

    def prepare(self) -> None:
        """Do nothing: migrations make the tables, and batches their partitions."""

    @contextmanager
    def together(self) -> Iterator[None]:
        if hasattr(self._held, "connection"):
            yield
            return
        with store_errors(), self._connection() as connection:
            self._held.connection, self._held.counts = connection, SqlCounts(connection)
            try:
                yield
            finally:
                del self._held.connection, self._held.counts

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        if (held := getattr(self._held, "connection", None)) is not None:
            yield held
            return
        with self._engine.connect() as connection:
            yield connection

    def append(
        self, records: Iterable[Mapping[str, Any]], checkpoint: Checkpoint,
        meanwhile: Meanwhile = nothing,
    ) -> list[str]:  # fmt: skip
        with store_errors():
            return self._appender.append(records, checkpoint, meanwhile)

    def page(
        self,
        query: LogQuery,
        before: str | None = None,
        limit: int = 50,
        fields: Sequence[str] = (),
    ) -> Page:
        with store_errors(), self._connection() as connection:
            reader = SqlReader(connection, query, fields)
            return read_page(reader, query, before, limit, self._deadline)

    def newer(
        self, query: LogQuery, after: str, limit: int = 50, fields: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        with store_errors(), self._connection() as connection:
            return read_newer(SqlReader(connection, query, fields), query, after, limit)

    def after(
        self, query: LogQuery, cursor: str | None = None, limit: int = 200
    ) -> tuple[list[dict[str, Any]], str]:
        with store_errors(), self._connection() as connection:
            return read_after(SqlReader(connection, query), query, cursor, limit, self._deadline)

    def get(self, record_id: str) -> dict[str, Any] | None:
        if (known := valid_id(record_id)) is None:
            return None
        statement = select(*Log.__table__.c).where(Log.id == known, Log.keep.in_(KEEPS))
        with store_errors(), self._connection() as connection:
            row = connection.execute(statement).mappings().first()
        return from_row(row) if row else None

    def count_by(self, query: LogQuery, field: str) -> list[tuple[Any, int]]:
        groups = self.group_by(query, [field])
        return [(group.values[0], group.count) for group in groups]

    def group_by(self, query: LogQuery, fields: Sequence[str], limit: int = 100) -> list[Group]:
        with store_errors(), self._connection() as connection:
            return read_groups(connection, query, fields, limit)

    def with_counts(self, work: Callable[[SqlCounts], T], *, change: bool = False) -> T:
        if not change:
            with store_errors(), self._connection() as connection:
                return work(getattr(self._held, "counts", None) or SqlCounts(connection))
        with store_errors(), self._engine.begin() as connection:
            counts = SqlCounts(connection)
            counts.lock()
            return work(counts)

    def _occurrences(self, fingerprints: Sequence[str], floor: str) -> Mapping[str, Occurrences]:
        with store_errors(), self._connection() as connection:
            return read_occurrences(connection, fingerprints, floor)

    def checkpoints(self, source: str) -> list[Checkpoint]:
        names = ("source", "segment", "offset", "sealed", "next_seq")
        columns = [LogCheckpoint.__table__.c[name] for name in names]
        statement = select(*columns).where(LogCheckpoint.source == source)
        with store_errors(), self._engine.connect() as connection:
            return [Checkpoint(*row) for row in connection.execute(statement)]

    def forget(self, source: str, segment: str) -> None:
        other = aliased(LogCheckpoint)
        # The highest number a host has given must stay, or its next record gets it again.
        higher = exists().where(
            other.source == source,
            other.segment != segment,
            other.next_seq >= LogCheckpoint.next_seq,
        )
        statement = delete(LogCheckpoint).where(
            LogCheckpoint.source == source, LogCheckpoint.segment == segment, higher
        )
        with store_errors(), self._engine.begin() as connection:
            connection.execute(statement.execution_options(synchronize_session=False))

    def expired(
        self, keep: str, before: str, after_id: str | None = None, limit: int = 1000
    ) -> list[dict[str, Any]]:
        with store_errors(), self._engine.connect() as connection:
            return sql_retention.read_expired(connection, keep, before, after_id, limit)

    def purge(self, keep: str, ids: Sequence[str]) -> int:
        with store_errors(), self._engine.begin() as connection:
            return sql_retention.delete_records(connection, keep, ids)

    def wholes(self, keep: str, before: str) -> list[Stretch] | None:
        if self._engine.dialect.name != "postgresql":
            return None
        with store_errors(), self._engine.connect() as connection:
            return sql_partition_drop.expired_partitions(connection, keep, before)

    def drop(self, stretch: Stretch, count: int) -> bool:
        with store_errors():
            return sql_partition_drop.drop_partition(self._engine, stretch, count)

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        with store_errors(), self._engine.begin() as connection:
            return sql_retention.take_lease(connection, name, holder, seconds)


def _forget_connections_after_fork(engine: Engine) -> None:
    # Two processes on one connection would read each other's answers.
    known = weakref.ref(engine)

    def forget() -> None:
        if (alive := known()) is not None:
            alive.dispose(close=False)

    os.register_at_fork(after_in_child=forget)
