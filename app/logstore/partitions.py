"""PostgreSQL keeps the log in partitions: by keep class, then by time, made when first needed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, Engine, text

# At most a tenth of what the class is kept, so that old records leave soon after their time.
WIDTHS = {
    "debug": timedelta(hours=12),
    "info": timedelta(days=3),
    "error": timedelta(days=9),
    "operation": timedelta(days=36),
}
# What a wrong clock dates outside these years shares one partition at either end.
_FIRST = datetime(2020, 1, 1, tzinfo=UTC)
_LAST = datetime(2100, 1, 1, tzinfo=UTC)
_LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_LOCK_KEY = 0x676C6173  # Any number that all hosts share.


@dataclass(frozen=True)
class Partition:
    """One partition of a keep class; `low` and `high` in milliseconds, None for open ends."""

    keep: str
    low: int | None
    high: int | None

    @property
    def parent(self) -> str:
        return f"logs_{self.keep}"

    @property
    def name(self) -> str:
        if self.low is None:
            return f"{self.parent}_early"
        if self.high is None:
            return f"{self.parent}_late"
        return f"{self.parent}_{datetime.fromtimestamp(self.low / 1000, UTC):%Y%m%d%H}"

    @property
    def high_id(self) -> str:
        """Return an id above all of this partition's."""
        return _LAST_ID if self.high is None else str(UUID(int=self.high << 80))

    @property
    def bounds(self) -> str:
        """Return the partition's bounds in SQL; identifiers begin with their milliseconds."""
        low = "MINVALUE" if self.low is None else f"'{UUID(int=self.low << 80)}'"
        high = "MAXVALUE" if self.high is None else f"'{self.high_id}'"
        return f"FOR VALUES FROM ({low}) TO ({high})"


def partition_for(keep: str, record_id: str) -> Partition:
    """Return the partition that a record of this class and id belongs to."""
    width = int(WIDTHS[keep].total_seconds() * 1000)
    first = -(-int(_FIRST.timestamp() * 1000) // width)
    last = int(_LAST.timestamp() * 1000) // width
    step = (int(record_id[:8] + record_id[9:13], 16)) // width
    if step < first:
        return Partition(keep, None, first * width)
    if step >= last:
        return Partition(keep, last * width, None)
    return Partition(keep, step * width, (step + 1) * width)


class Partitions:
    """Make the partitions of one database; remembers which are there."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: set[Partition] = set()

    def ensure(self, keys: Iterable[tuple[str, str]]) -> None:
        """Make the partitions for records of these (keep, id), in a transaction of its own."""
        # Ids that begin so lie within 256 ms, of which every width is a multiple.
        starts = {(keep, record_id[:11]) for keep, record_id in keys}
        if missing := {partition_for(keep, f"{start}00") for keep, start in starts} - self._known:
            self._make(missing)
        self._known |= missing

    def _make(self, missing: Iterable[Partition]) -> None:
        with self._engine.begin() as connection:
            # Nobody waits long behind a lock that a long query keeps us from getting.
            connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            # Two hosts that need the same partition at once take turns.
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
            for partition in sorted(missing, key=lambda one: one.name):
                _make(connection, partition)

    def forget(self) -> None:
        """Look anew which partitions are there; somebody may have dropped one."""
        self._known.clear()


def _make(connection: Connection, partition: Partition) -> None:
    if _state(connection, partition.parent) is None:
        connection.execute(text(
            f"CREATE TABLE {partition.parent} PARTITION OF logs "
            f"FOR VALUES IN ('{partition.keep}') PARTITION BY RANGE (id)"
        ))  # fmt: skip
    attached = _state(connection, partition.name)
    if attached is None:
        # Made apart and then attached: that lets readers and writers of the table go on.
        like = f"LIKE {partition.parent} INCLUDING ALL EXCLUDING INDEXES"
        connection.execute(text(f"CREATE TABLE {partition.name} ({like})"))
    if not attached:
        connection.execute(text(
            f"ALTER TABLE {partition.parent} ATTACH PARTITION {partition.name} {partition.bounds}"
        ))  # fmt: skip


def _state(connection: Connection, name: str) -> bool | None:
    """Tell whether a table is a partition; None when there is no such table."""
    sql = text("SELECT relispartition FROM pg_class WHERE oid = to_regclass(:name)")
    found: bool | None = connection.execute(sql, {"name": name}).scalar()
    return found
