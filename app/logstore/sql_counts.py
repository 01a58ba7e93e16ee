"""Write and read the counts of the SQL log store."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    cast,
    delete,
    func,
    literal_column,
    not_,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.dialects import postgresql

from app.logstore.counts import ALL_STEPS, DAY, Key, Selection, Tile, id_at, second_of
from app.logstore.record import KEEPS
from app.logstore.waiting import Meanwhile, carry_out, nothing
from app.models.log import Log, LogCount

_TABLE: Any = LogCount.__table__
_NAMES = (*Key._fields, "count")
_COUNTED = (
    "id", "source", "level", "action", "route", "status", "duration_ms", "db_ms", "details",
    "exception_fingerprint",
)  # fmt: skip
# PostgreSQL sums up to a Decimal; of nothing there is no sum.
_COUNT: Any = cast(func.coalesce(func.sum(_TABLE.c.count), 0), BigInteger)
# Spelled as in the index, which SQLite uses only for a query that says the same.
_FAILED: Any = text("fingerprint <> ''")
# Without statistics it does not know how few these are.
_HINT = "INDEXED BY ix_log_counts_fingerprint"
_LIST, _KEY = ", ".join(_NAMES), ", ".join(Key._fields)
_ADD = f" ON CONFLICT ({_KEY}) DO UPDATE SET count = log_counts.count + excluded.count"
_SQLITE = f"INSERT INTO log_counts ({_LIST}) VALUES ({', '.join('?' * len(_NAMES))}){_ADD}"  # noqa: S608
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_LISTED = ("bucket", "count")
_KIND = Key._fields[:-1]
_TYPES = ", ".join(
    f"{one.name} {one.type.compile(_DIALECT)}{'[]' if one.name in _LISTED else ''}"
    for one in _TABLE.columns
)
# In one JSON value, each kind of record once with all its buckets: that is read twice as fast.
_POSTGRESQL = (
    f"INSERT INTO log_counts ({_LIST}) SELECT {', '.join(_KIND)}, unnest(bucket), unnest(count) "  # noqa: S608
    f"FROM json_to_recordset(%s) AS batch({_TYPES}){_ADD}"
)


def add_counts(
    connection: Connection, counts: Mapping[Key, int], meanwhile: Meanwhile = nothing,
    *, last: bool = False,
) -> None:  # fmt: skip
    """Add to the counts there are, in the connection's transaction.

    PostgreSQL does so by itself, `meanwhile` is called then; it may commit as well if this is the
    `last` that the transaction does.
    """
    if not counts:
        return
    # In the order of the key, so that two writers never wait for each other in a circle.
    ordered = sorted(counts.items())
    if connection.dialect.name == "postgresql":
        batch = [_kind(key, list(same)) for key, same in groupby(ordered, lambda one: one[0][:-1])]
        values = (orjson.dumps(batch).decode(),)
        carry_out(connection, _POSTGRESQL, values, meanwhile, last=last)
    else:
        connection.exec_driver_sql(_SQLITE, [(*key, count) for key, count in ordered])


def _kind(key: tuple[Any, ...], same: Sequence[tuple[Key, int]]) -> dict[str, Any]:
    lists = [one.bucket for one, _ in same], [count for _, count in same]
    return dict(zip((*_KIND, *_LISTED), (*key, *lists), strict=True))


class SqlCounts:
    """The counts and what they count, through one connection; see `count_questions.Counts`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._on_postgresql = connection.dialect.name == "postgresql"
        self._oldest: Mapping[int, int | None] | None = None

    def lock(self) -> None:
        """Keep batches waiting until the transaction ends."""
        if self._on_postgresql:
            self._connection.execute(text("LOCK TABLE log_counts IN SHARE ROW EXCLUSIVE MODE"))
        else:
            self._connection.exec_driver_sql("BEGIN IMMEDIATE")

    def sums(
        self, chosen: Selection, covered: Sequence[Tile], fields: Sequence[str], step: int | None
    ) -> Iterator[tuple[Any, ...]]:
        return self._grouped(chosen, covered, fields, step, _COUNT)

    def histograms(
        self, chosen: Selection, covered: Sequence[Tile], fields: Sequence[str], step: int | None
    ) -> Iterator[tuple[Any, ...]]:
        # In two values of JSON, not summed up: a row for each bucket takes far longer to make and
        # to read.
        listed: Any = func.json_agg if self._on_postgresql else func.json_group_array
        lists = [cast(listed(_TABLE.c[name]), Text) for name in ("bucket", "count")]
        for *values, numbers, counts in self._grouped(chosen, covered, fields, step, *lists):
            yield (*values, _paired(_read(numbers), _read(counts)))

    def _grouped(
        self,
        chosen: Selection,
        covered: Sequence[Tile],
        fields: Sequence[str],
        step: int | None,
        *values: Any,
    ) -> Iterator[Any]:
        columns: list[ColumnElement[Any]] = [_TABLE.c[name] for name in fields]
        if step is not None:
            # A parameter would not be the same in the list and in the grouping.
            columns.insert(0, literal_column(f"start - start % {step:d}"))
        statement = select(*columns, *values).where(*_conditions(chosen)).group_by(*columns)
        if chosen.failed:
            statement = statement.with_hint(_TABLE, _HINT, "sqlite")
        # In one question, which costs more than what it finds; SQLite takes longer over an OR.
        parts = [covered] if self._on_postgresql else [[one] for one in covered]
        for part in parts:
            within = or_(*(and_(*_within(one)) for one in part))
            # Row by row the driver takes three times as long.
            yield from self._connection.execute(statement.where(within)).all()

    def oldest_start(self, step: int) -> int | None:
        start: int | None = self._connection.execute(_oldest_starts((step,))).scalar()
        return start

    def oldest_starts(self) -> Mapping[int, int | None]:
        if self._oldest is None:
            found = self._connection.execute(_oldest_starts(ALL_STEPS)).one()
            self._oldest = dict(zip(ALL_STEPS, found, strict=True))
        return self._oldest

    def first_days(self, chosen: Selection) -> Mapping[str, int]:
        statement = (
            select(_TABLE.c.fingerprint, func.min(_TABLE.c.start))
            .where(_TABLE.c.step == DAY, *_of_exceptions(chosen))
            .group_by(_TABLE.c.fingerprint)
            .with_hint(_TABLE, _HINT, "sqlite")
        )
        return {name: int(start) for name, start in self._connection.execute(statement)}

    def delete(self, tile: Tile) -> int:
        return int(self._connection.execute(delete(_TABLE).where(*_within(tile))).rowcount)

    def oldest_records(self) -> dict[str, int]:
        found = {keep: self._first_record(Log.keep == keep) for keep in KEEPS}
        return {keep: second for keep, second in found.items() if second is not None}

    def first_ends(self) -> Iterator[tuple[str, str, int]]:
        columns = _TABLE.c.level, _TABLE.c.action
        ends = select(*columns, func.min(_TABLE.c.start + _TABLE.c.step))
        statement = ends.where(_TABLE.c.step > 0).group_by(*columns)
        for level, action, end in self._connection.execute(statement):
            yield str(level), str(action), int(end)

    def next_day(self, second: int) -> int | None:
        start = _TABLE.c.start
        counted = select(func.min(start)).where(_TABLE.c.step == DAY, start >= second)
        record = self._first_record(Log.keep.in_(KEEPS), Log.id >= id_at(second))
        found = [self._connection.execute(counted).scalar(), record]
        return min((one // DAY * DAY for one in found if one is not None), default=None)

    def records(self, low: int, high: int) -> Iterator[Mapping[str, Any]]:
        columns = [Log.__table__.c[name] for name in _COUNTED]
        statement = select(*columns).where(Log.id >= id_at(low), Log.id < id_at(high))
        # A day may have more records than fit in memory.
        streaming = statement.execution_options(yield_per=5000)
        for row in self._connection.execute(streaming):
            yield dict(zip(_COUNTED, row, strict=True))

    def stored(self, low: int, high: int) -> Iterator[tuple[Key, int]]:
        for step in ALL_STEPS:
            within = _within(Tile(step, low, high))
            for *key, count in self._connection.execute(select(*_TABLE.c).where(*within)):
                yield Key(*key), count

    def add(self, counts: Mapping[Key, int]) -> None:
        add_counts(self._connection, counts)

    def _first_record(self, *conditions: ColumnElement[bool]) -> int | None:
        statement = select(Log.id).where(*conditions).order_by(Log.id).limit(1)
        found = self._connection.execute(statement).scalar()
        return None if found is None else second_of(found)


@cache
def _oldest_starts(steps: tuple[int, ...]) -> Select[Any]:
    # Kept, as putting it together takes longer than carrying it out.
    start = func.min(_TABLE.c.start)
    return select(*(select(start).where(_TABLE.c.step == one).scalar_subquery() for one in steps))


def _read(numbers: str | None) -> list[int]:
    return orjson.loads(numbers or "[]")  # type: ignore[no-any-return]


def _paired(numbers: Sequence[int], counts: Sequence[int]) -> dict[int, int]:
    """Return {bucket: sum}, without those of 0."""
    buckets = dict(zip(numbers, counts, strict=True))
    if len(buckets) == len(numbers) and 0 not in counts:
        return buckets
    buckets = defaultdict(int)
    for number, count in zip(numbers, counts, strict=True):
        buckets[number] += count
    return {number: count for number, count in buckets.items() if count}


def _within(tile: Tile) -> list[ColumnElement[bool]]:
    start = _TABLE.c.start
    return [_TABLE.c.step == tile.step, start >= tile.low, start < tile.high]


def _conditions(chosen: Selection) -> Iterable[ColumnElement[bool]]:
    if chosen.levels:
        yield _TABLE.c.level.in_(chosen.levels)
    if chosen.actions:
        yield _TABLE.c.action.in_(chosen.actions)
    if chosen.route is not None:
        yield _TABLE.c.route == chosen.route
    if chosen.class_min is not None:
        yield _TABLE.c.status_class >= chosen.class_min
    if chosen.class_max is not None:
        yield _TABLE.c.status_class <= chosen.class_max
    for unwanted in chosen.without:
        # What is absent is "" and 0 in the counts: no condition is neither true nor false.
        yield not_(and_(true(), *_conditions(unwanted)))
    yield from _of_exceptions(chosen)


def _of_exceptions(chosen: Selection) -> Iterable[ColumnElement[bool]]:
    if chosen.failed:
        yield _FAILED
    if chosen.fingerprint is not None:
        yield _TABLE.c.fingerprint == chosen.fingerprint
