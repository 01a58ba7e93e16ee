"""Compare counts with the records that there are, day by day, and correct them."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, Protocol, TypeVar

from app.logstore.contract import Recount
from app.logstore.counts import ALL_STEPS, DAY, END, MINUTE, Key, tally
from app.logstore.record import keep_class

T = TypeVar("T")
# By keep class and step: the first start whose records are all there.
_Floors = Mapping[tuple[str, int], int]


class Records(Protocol):
    """What a recount reads and writes."""

    def oldest_records(self) -> Mapping[str, int]:
        """Return the second of the oldest record of each keep class that has any."""

    def first_ends(self) -> Iterable[tuple[str, str, int]]:
        """Return for each (level, action) the end, in seconds, of the first step counted."""

    def oldest_start(self, step: int) -> int | None:
        """Return the first start that has counts of a step."""

    def next_day(self, second: int) -> int | None:
        """Return the start of the first day with records or counts, not before a second."""

    def records(self, low: int, high: int) -> Iterable[Mapping[str, Any]]:
        """Return what `tally` needs of each record between two seconds."""

    def stored(self, low: int, high: int) -> Iterable[tuple[Key, int]]:
        """Return each count, in all steps, that starts between two seconds."""

    def add(self, counts: Mapping[Key, int]) -> None:
        """Add to the counts there are."""


class _Open(Protocol):
    def __call__(self, work: Callable[[Any], T], *, change: bool = False) -> T: ...


def recount(with_counts: _Open, since: datetime | None, *, check: bool) -> Recount:
    """Do `contract.LogStore.recount` on a store; each day is a transaction of its own."""
    floors = with_counts(lambda counts: _floors(counts, since))
    read = wrong = 0
    start = min(floors.values(), default=END) // DAY * DAY
    while (day := with_counts(partial(_next_day, second=start))) is not None:
        found = with_counts(partial(_correct, day=day, floors=floors, check=check), change=True)
        read, wrong, start = read + found.records, wrong + found.wrong, day + DAY
    return Recount(read, wrong)


def _floors(counts: Records, since: datetime | None) -> _Floors:
    first_end: dict[str, int] = {}
    for level, action, end in counts.first_ends():
        keep = _keep(level, action)
        first_end[keep] = min(end, first_end.get(keep, END))
    asked = int(since.timestamp()) if since else 0
    horizons = {step: _horizon(counts, step) for step in ALL_STEPS}
    floors = {}
    for keep, oldest in counts.oldest_records().items():
        # Something was counted before: its records are gone, and maybe some of the same step.
        purged = first_end.get(keep, END) <= oldest
        for step in ALL_STEPS:
            size = abs(step)
            floor = oldest // size * size + (size if purged else 0)
            floors[keep, step] = max(floor, -(-asked // size) * size, horizons[step])
    return floors


def _horizon(counts: Records, step: int) -> int:
    """Return the start of the first day whose counts of a step are not purged."""
    first_day, first = counts.oldest_start(DAY), counts.oldest_start(step)
    if first_day is None:
        return 0
    day = END if first is None else first // DAY * DAY
    # Where days are counted, only a purge can have left out what is shorter.
    return day if first_day < day else 0


def _next_day(counts: Records, second: int) -> int | None:
    return counts.next_day(second)


def _correct(counts: Records, day: int, floors: _Floors, check: bool) -> Recount:
    wanted = tally(counts.records(day, day + DAY))
    read = sum(count for key, count in wanted.items() if key.step == MINUTE)
    for key, count in counts.stored(day, day + DAY):
        wanted[key] -= count
    wrong = {
        key: count
        for key, count in wanted.items()
        if count and key.start >= floors.get((_keep(key.level, key.action), key.step), END)
    }
    if wrong and not check:
        counts.add(wrong)
    return Recount(read, len(wrong))


@lru_cache(maxsize=1024)
def _keep(level: str, action: str) -> str:
    return keep_class({"level": level, "action": action})
