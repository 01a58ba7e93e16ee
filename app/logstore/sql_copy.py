"""Write a batch into PostgreSQL the fast way: by COPY, while the next records are made ready."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection

from app.logstore.contract import Checkpoint
from app.logstore.counts import Key, tally
from app.logstore.record import normalise
from app.logstore.rows import INSERTED, postgresql_values, to_row
from app.logstore.waiting import driver_errors

_Rows = Iterable[dict[str, Any]]
# Three times as fast as the INSERT, but it knows no ON CONFLICT.
_COPY = f"COPY logs ({', '.join(INSERTED)}) FROM STDIN"
_KNOWN = "SELECT CAST(id AS text) FROM logs WHERE keep = 'operation' AND id = ANY(%s::uuid[])"
_id = itemgetter("id")


def copy(
    connection: Connection, records: Sequence[Mapping[str, Any]], checkpoint: Checkpoint
) -> tuple[list[str], Mapping[Key, int]]:
    """Insert the records; return the ids of those that were new, and what they count.

    Operations come twice, from the outbox and as a line, and so are looked for before. That
    something else is there, or somebody stores the same meanwhile, is rare: then this fails.
    """
    operations: list[dict[str, Any]] = []
    new: list[str] = []
    # Each record is stored while the next is made ready; that takes both as long.
    others = _written(connection, _others(records, checkpoint, operations), new)
    counts = tally(chain(others, _written(connection, _unknown(connection, operations), new)))
    return new, counts


def in_order(row: Mapping[str, Any]) -> tuple[bool, str]:
    """Return what all writers sort rows by, so that no two wait for each other in a circle."""
    return row["keep"] == "operation", row["id"]


def _others(
    records: Sequence[Mapping[str, Any]], checkpoint: Checkpoint, operations: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yield all rows but those of operations, which it sets apart."""
    numbered = enumerate(records, checkpoint.next_seq)
    for seq, record in sorted(numbered, key=_given_id):
        row = to_row(normalise(record), checkpoint.source, seq)
        if row["keep"] == "operation":
            operations.append(row)
        else:
            yield row


def _given_id(numbered: tuple[int, Mapping[str, Any]]) -> str:
    return str(numbered[1].get("id"))


def _unknown(connection: Connection, operations: list[dict[str, Any]]) -> _Rows:
    if not operations:
        return
    wanted = ([row["id"] for row in operations],)
    known = set(connection.exec_driver_sql(_KNOWN, wanted).scalars())
    yield from sorted((row for row in operations if row["id"] not in known), key=_id)


def _written(connection: Connection, rows: _Rows, new: list[str]) -> Iterator[dict[str, Any]]:
    """Write rows as they come, and yield them."""
    rows = iter(rows)
    # An empty batch, and one whose operations are all known, is no reason to begin.
    if (first := next(rows, None)) is None:
        return
    pooled: Any = connection.connection
    with driver_errors(connection, _COPY), pooled.cursor() as cursor, cursor.copy(_COPY) as stream:
        for row in chain((first,), rows):
            stream.write_row(postgresql_values(row))
            new.append(row["id"])
            yield row
