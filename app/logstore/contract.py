"""What every log store takes, gives back and can be asked."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from app.logstore.error_groups import ErrorGroups
from app.logstore.record import LogRecord, keep_class, normalise
from app.logstore.waiting import Meanwhile, nothing
from app.observability.ids import id_floor, id_time

__all__ = [
    "Checkpoint", "ErrorGroups", "Group", "Histogram", "LogQuery", "LogReader", "LogRecord",
    "LogStore", "Page", "Point", "Recount", "StoreUnavailable", "Stretch", "Summary", "keep_class",
    "normalise",
]  # fmt: skip


class StoreUnavailable(Exception):
    """Say that the store cannot be used now; nothing was stored, so try again later."""


@dataclass(frozen=True)
class LogQuery:
    """Select records; an empty field selects all. `since` is included, `until` is not.

    Every one of `texts` has to be found, and a record that one of `without` selects stays out.
    `equal` has pairs of a field (`filters.PLAIN`) and a value; several values of a field are
    alternatives.
    """

    levels: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    user_id: str | None = None
    account: str | None = None
    request_id: str | None = None
    texts: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    route: str | None = None
    status_min: int | None = None
    status_max: int | None = None
    fingerprint: str | None = None
    min_duration_ms: float | None = None
    max_duration_ms: float | None = None
    equal: tuple[tuple[str, str], ...] = ()
    without: tuple["LogQuery", ...] = ()

    def id_bounds(self) -> tuple[str | None, str | None]:
        """Return the time range as identifiers, so that the primary key serves it."""
        low = id_floor(self.since) if self.since else None
        return low, id_floor(self.until) if self.until else None


@dataclass(frozen=True)
class Checkpoint:
    """How far one host's segment is in the store.

    `next_seq` is the number the host's next record gets; `sealed` says that nothing new will
    ever be added and all is read.
    """

    source: str
    segment: str
    offset: int
    sealed: bool
    next_seq: int


@dataclass(frozen=True)
class Page:
    """One page, newest first. `next` is the cursor to older records, None at the end.

    `looked_back_to` is set when a search ran out of time: it has seen every record since
    then, and goes on from `next`.
    """

    records: list[dict[str, Any]]
    next: str | None = None
    looked_back_to: datetime | None = None


@dataclass(frozen=True)
class Group:
    """Records that share `values`: how many, and the newest one's id."""

    values: tuple[Any, ...]
    count: int
    last_id: str

    @property
    def last_seen(self) -> datetime:
        """Return the time of the newest one."""
        return id_time(self.last_id)


@dataclass(frozen=True)
class Point:
    """How many records one step of time has, and how many of each value if that was asked."""

    start: datetime
    count: int
    by: Mapping[Any, int]


@dataclass(frozen=True)
class Histogram:
    """Every step of a range of time, oldest first, also those without records.

    `looked_back_to` is set when records had to be looked at and time ran out: what is older
    is not in it.
    """

    points: list[Point]
    looked_back_to: datetime | None = None


@dataclass(frozen=True)
class Summary:
    """Records that share `values`: how many, and each quantile's milliseconds, within 5 %."""

    values: tuple[Any, ...]
    count: int
    percentiles: Mapping[float, float | None]


@dataclass(frozen=True)
class Recount:
    """What a recount looked at, and how many counts were not what the records say."""

    records: int
    wrong: int


@dataclass(frozen=True)
class Stretch:
    """Records of one keep class from the id `low` on and before `high`.

    `whole` names what the store can drop in one step with all of them, None where it cannot.
    """

    keep: str
    low: str
    high: str
    whole: str | None = None


class LogReader(Protocol):
    """Answer questions about records, from a store or from files."""

    def page(
        self, query: LogQuery, before: str | None = None, limit: int = 50,
        fields: Sequence[str] = (),
    ) -> Page:  # fmt: skip
        """Return records older than the id `before`, newest first.

        With `fields` just those and the id, and no `texts`; `exception_type` is a field too.
        """

    def newer(
        self, query: LogQuery, after: str, limit: int = 50, fields: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """Return the first records newer than the id `after`, oldest first; `fields` as of a page.

        Without a deadline: for what an index serves, or nearly.
        """

    def after(
        self, query: LogQuery, cursor: str | None = None, limit: int = 200
    ) -> tuple[list[dict[str, Any]], str]:
        """Return what was stored since `cursor`, in order of storing, and the next cursor.

        Without a cursor: the newest records, oldest of them first, to follow from there.
        """

    def get(self, record_id: str) -> dict[str, Any] | None:
        """Return one record, None when there is none."""

    def count_by(self, query: LogQuery, field: str) -> list[tuple[Any, int]]:
        """Return each value of a field with its count, most frequent first."""

    def group_by(self, query: LogQuery, fields: Sequence[str], limit: int = 100) -> list[Group]:
        """Count by several fields at once, most frequent first; `details.<key>` is a field too."""


class LogStore(LogReader, Protocol):
    """Keep records. Every method raises StoreUnavailable when the store cannot be used."""

    @property
    def refused(self) -> Mapping[str, int]:
        """Return how many records were stored `encoded`, and how many were `refused` even so."""

    def prepare(self) -> None:
        """Make what the store needs and no migration makes; may be done again at any time."""

    def together(self) -> AbstractContextManager[None]:
        """Answer what a page asks, in this thread, through one connection, its horizons once."""

    def append(
        self, records: Iterable[Mapping[str, Any]], checkpoint: Checkpoint,
        meanwhile: Meanwhile = nothing,
    ) -> list[str]:  # fmt: skip
        """Store records and the checkpoint in one transaction; return the ids that were new.

        Records may be of any shape; each gets the next `seq` of the checkpoint's source. One that
        is already there is skipped. `meanwhile`, which may not raise, is called where this process
        would only wait, if at all.
        """

    def checkpoints(self, source: str) -> list[Checkpoint]:
        """Return how far each segment of a host is."""

    def forget(self, source: str, segment: str) -> None:
        """Drop the checkpoint of a segment whose file is gone."""

    def expired(
        self, keep: str, before: str, after_id: str | None = None, limit: int = 1000
    ) -> list[dict[str, Any]]:
        """Return records of a keep class with ids above `after_id` and below `before`, in order."""

    def purge(self, keep: str, ids: Sequence[str]) -> int:
        """Delete these records in one short transaction; return how many there were."""

    def wholes(self, keep: str, before: str) -> list[Stretch] | None:
        """Return what can be dropped whole and ends before `before`, oldest first.

        None when this store deletes record by record.
        """

    def drop(self, stretch: Stretch, count: int) -> bool:
        """Drop a stretch if it holds exactly `count` records; tell whether it is gone.

        It stays while somebody else uses it. Nobody who writes other records waits for this.
        """

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or keep a lease for so many seconds; False while another holder has it."""

    def histogram(self, query: LogQuery, step: int, by: str | None = None) -> Histogram:
        """Count records in each step of so many seconds, a multiple of 60, over the query's time.

        `by` splits each by level, action, route or status_class (5 for 503). Without `until` it
        ends now, without `since` it begins with the first count. Where counts can answer (level,
        action, route, whole status classes) the cost depends on the steps, not on the records,
        and the range goes outward to whole minutes; for any other query it looks at records,
        newest first, under a deadline. Raises ValueError for a step or field that is none.
        """

    def percentiles(
        self, query: LogQuery, quantiles: Sequence[float] = (0.5, 0.95, 0.99),
        step: int | None = None,
    ) -> list[Summary]:  # fmt: skip
        """Return the latency over the query's time, or with `step` that of each step.

        `values` is then the step's start. Raises ValueError for what counts cannot answer.
        """

    def counted(
        self, query: LogQuery, fields: Sequence[str] = (),
        quantiles: Sequence[float] = (0.5, 0.95, 0.99),
    ) -> list[Summary]:  # fmt: skip
        """Return count and latency by fields (as `by` of histogram), most frequent first.

        As exact as the query's time is in whole minutes; without fields always one. Counts
        outlive their records: minutes for days, then hours. Raises ValueError for what counts
        cannot answer.
        """

    def error_groups(self, query: LogQuery, step: int, limit: int = 100) -> ErrorGroups:
        """Group records with an exception by fingerprint, over the query's time in steps.

        The cost depends on the steps and the groups, not on the records. With a fingerprint in
        the query also one that did not happen in that time. Raises ValueError as histogram does,
        and for what counts cannot answer.
        """

    def buckets(
        self, query: LogQuery, fields: Sequence[str] = (), step: int | None = None
    ) -> dict[tuple[Any, ...], dict[int, int]]:
        """Return how many records are in each bucket, by fields; see `counts.percentiles`.

        With `step` a key begins with the step's start in epoch seconds; only steps with records
        are there. `measure` is a field too: None for the duration, else what records measured
        beside it (`measures.py`). For many figures at once. Raises ValueError as `counted` does.
        """

    def recount(self, since: datetime | None = None, *, check: bool = False) -> Recount:
        """Correct the counts by the records there still are; with `check` only compare.

        Steps of which records are gone, by keep class, are left as they are.
        """

    def purge_counts(self, before: datetime, step: int = 60) -> int:
        """Delete the counts of a step (60, 3600 or 86400 s) of days before; return how many.

        In short slices. The coarser ones answer for that time from then on.
        """
