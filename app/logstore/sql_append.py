"""Write batches into the SQL log store: each record once, and no record stops the others."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.dialects import postgresql, sqlite

from app.logstore import sql_copy
from app.logstore.contract import Checkpoint
from app.logstore.counts import Key, tally
from app.logstore.halving import refused_among
from app.logstore.partitions import Partitions
from app.logstore.record import encoded, normalise
from app.logstore.rows import INSERTED, postgresql_values, sqlite_values, to_row
from app.logstore.sql_counts import add_counts
from app.logstore.sql_errors import is_taken, lacks_partition, refuses_data
from app.logstore.waiting import Meanwhile, nothing
from app.models.log import LogCheckpoint
from app.models.types import utc_now

_log = logging.getLogger(__name__)
_Rows = Sequence[dict[str, Any]]
_LIST = ", ".join(INSERTED)
_MARK = {"postgresql": "%s", "sqlite": "?"}
_INSERT = {
    name: f"INSERT INTO logs ({_LIST}) VALUES ({', '.join([mark] * len(INSERTED))})"  # noqa: S608
    " ON CONFLICT DO NOTHING"
    for name, mark in _MARK.items()
}
_VALUES = {"postgresql": postgresql_values, "sqlite": sqlite_values}
# The rows that were new are those that have a number of this batch.
_NUMBERED = {
    name: f"SELECT CAST(id AS text), keep, seq FROM logs WHERE source = {mark}"  # noqa: S608
    f" AND seq BETWEEN {mark} AND {mark}"
    for name, mark in _MARK.items()
}


class Appender:
    """Append batches through one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._dialect = engine.dialect.name
        self._on_postgresql = self._dialect == "postgresql"
        self._partitions = Partitions(engine)
        self.refused: Counter[str] = Counter()

    def append(
        self, records: Iterable[Mapping[str, Any]], checkpoint: Checkpoint,
        meanwhile: Meanwhile = nothing,
    ) -> list[str]:  # fmt: skip
        """Store records and checkpoint in one transaction; return the ids that were new."""
        if self._on_postgresql:
            records = list(records)
            try:
                return self._copy(records, checkpoint, meanwhile)
            except Exception as error:
                expected = lacks_partition(error) or refuses_data(error) or is_taken(error)
                if not expected or not records:
                    raise
                # Whatever it was, another process may have dropped one that these need.
                self._partitions.forget()
        rows = [
            to_row(normalise(record), checkpoint.source, seq)
            for seq, record in enumerate(records, checkpoint.next_seq)
        ]
        self._make_partitions(rows)
        try:
            return self._write(rows, checkpoint)
        except Exception as error:
            if not refuses_data(error):
                raise
        return self._write_with_care(rows, checkpoint)

    def _copy(
        self, records: list[Mapping[str, Any]], checkpoint: Checkpoint, meanwhile: Meanwhile
    ) -> list[str]:
        # Nearly always all that is needed, and what it is not is made when the COPY failed.
        ends, count = map(normalise, (*records[:1], *records[-1:])), len(records)
        self._partitions.ensure((one["keep"], one["id"]) for one in ends)
        with self._engine.begin() as connection:
            new, counts = sql_copy.copy(connection, records, checkpoint)
            # Not needed any more, and what is read meanwhile takes as much memory.
            records.clear()
            _finish(connection, checkpoint, count, counts, meanwhile)
        return new

    def _make_partitions(self, rows: _Rows) -> None:
        if self._on_postgresql:
            self._partitions.ensure((row["keep"], row["id"]) for row in rows)

    def _write(self, rows: _Rows, checkpoint: Checkpoint) -> list[str]:
        with self._engine.begin() as connection:
            self._lock(connection)
            new = self._insert(connection, rows)
            _finish(connection, checkpoint, len(rows), tally(new))
        return [row["id"] for row in new]

    def _write_with_care(self, rows: _Rows, checkpoint: Checkpoint) -> list[str]:
        """Write the batch without what the store refuses, and that in a form it takes."""
        shells = {row["seq"]: to_row(encoded(row), row["source"], row["seq"]) for row in rows}
        self._make_partitions(list(shells.values()))
        new: list[dict[str, Any]] = []
        with self._engine.begin() as connection:
            self._lock(connection)

            def accepts(some: _Rows) -> bool:
                try:
                    with connection.begin_nested():
                        new.extend(self._insert(connection, some))
                except Exception as error:
                    if not refuses_data(error):
                        raise
                    return False
                return True

            refused = refused_among(rows, accepts)
            lost = [row for row in refused if not accepts([shells[row["seq"]]])]
            _finish(connection, checkpoint, len(rows), tally(new))
        counts = {"encoded": len(refused) - len(lost), "refused": len(lost)}
        self.refused.update(counts)
        _log.warning("The log store refused records", extra={"details": counts})
        return [row["id"] for row in new]

    def _lock(self, connection: Connection) -> None:
        if not self._on_postgresql:
            # Before anything is read: a lock that is taken late can fail without waiting.
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    def _insert(self, connection: Connection, rows: _Rows) -> list[dict[str, Any]]:
        """Insert the rows; return those that were new."""
        if not rows:
            return []
        before = _numbered(connection, rows)
        values = [_VALUES[self._dialect](row) for row in sorted(rows, key=sql_copy.in_order)]
        if connection.exec_driver_sql(_INSERT[self._dialect], values).rowcount == len(rows):
            return list(rows)
        stored = _numbered(connection, rows) - before
        return [row for row in rows if (row["id"], row["keep"], row["seq"]) in stored]


def _numbered(connection: Connection, rows: _Rows) -> set[tuple[Any, ...]]:
    bounds = (rows[0]["source"], rows[0]["seq"], rows[-1]["seq"])
    sql = _NUMBERED[connection.dialect.name]
    return {tuple(row) for row in connection.exec_driver_sql(sql, bounds)}


def _finish(
    connection: Connection,
    checkpoint: Checkpoint,
    count: int,
    counts: Mapping[Key, int],
    meanwhile: Meanwhile = nothing,
) -> None:
    """Write, as the end of the batch's own transaction, the checkpoint and what new rows count."""
    _keep(connection, checkpoint, count)
    add_counts(connection, counts, meanwhile, last=True)


def _keep(connection: Connection, checkpoint: Checkpoint, count: int) -> None:
    values = {
        "source": checkpoint.source,
        "segment": checkpoint.segment,
        "offset": checkpoint.offset,
        "sealed": checkpoint.sealed,
        "next_seq": checkpoint.next_seq + count,
        "updated_at": utc_now(),
    }
    connection.execute(_KEEP[connection.dialect.name], values)


def _keep_statement(insert: Any) -> Any:
    statement = insert(LogCheckpoint)
    changed = ("offset", "sealed", "next_seq", "updated_at")
    return statement.on_conflict_do_update(
        index_elements=["source", "segment"],
        set_={name: statement.excluded[name] for name in changed},
    )


# Made once: putting it together takes longer than carrying it out.
_KEEP = {"postgresql": _keep_statement(postgresql.insert), "sqlite": _keep_statement(sqlite.insert)}
