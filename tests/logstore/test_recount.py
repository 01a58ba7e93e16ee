"""Counts equal a recount whatever happened, and are corrected where they do not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.logstore.contract import Checkpoint, LogQuery, LogStore, Recount, StoreUnavailable
from app.logstore.counts import DAY, MINUTE, Key, tally
from app.logstore.mongo_store import MongoStore
from app.logstore.recount import recount
from tests.logstore.stores import SOURCE, everything, put, sample

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def records(count: int = 20, **fields: Any) -> list[dict[str, Any]]:
    return [
        sample(NOON + timedelta(hours=hour), action="request", status=200, route="/a",
               duration_ms=1.5 * hour, **fields)
        for hour in range(count)
    ]  # fmt: skip


def stored(store: Any) -> dict[Key, int]:
    def read(counts: Any) -> dict[Key, int]:
        return {key: count for key, count in counts.stored(0, 2**40) if count}

    found: dict[Key, int] = store.with_counts(read)
    return found


def fail_at_the_end_of(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a batch fail when its records and its counts are written."""
    if isinstance(store, MongoStore):
        from pymongo.errors import OperationFailure

        from app.logstore.mongo_counts import MongoCounts

        whole, owner, name, error = MongoCounts.add, MongoCounts, "add", OperationFailure("x", 1)
    else:
        from sqlalchemy.exc import OperationalError

        from app.logstore import sql_append

        whole, owner, name = sql_append.add_counts, sql_append, "add_counts"
        error = OperationalError("x", None, Exception("x"))

    # Before the end of the transaction: PostgreSQL commits together with the counts.
    def broken(*args: Any, **_: Any) -> None:
        whole(*args)
        raise error

    monkeypatch.setattr(owner, name, broken)


def test_counts_equal_a_recount_after_duplicates_refused_batches_and_rollbacks(
    log_store: LogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = records()
    put(log_store, *made[:10])
    put(log_store, *made[5:15], made[14])
    # The very same batch again, with the same numbers.
    for _ in range(2):
        log_store.append(made[15:17], Checkpoint("another", "a", 0, False, 1))
    with monkeypatch.context() as patch:
        fail_at_the_end_of(log_store, patch)
        with pytest.raises(StoreUnavailable):
            put(log_store, *made[17:])
    put(log_store, *made[17:], {"duration_ms": "x"}, {"id": "ffffffff-ffff-7fff-bfff-ffffffffffff"})
    found = everything(log_store)
    assert len(found) == 22
    assert stored(log_store) == tally(found)
    assert log_store.recount(check=True) == Recount(22, 0)


def test_wrong_counts_are_told_and_corrected(log_store: Any) -> None:
    put(log_store, *records(), sample(NOON, level="ERROR"))
    right = stored(log_store)
    noon = int(NOON.timestamp())
    false = {key: -count for key, count in list(right.items())[::7]}
    false[Key(DAY, noon // DAY * DAY, SOURCE, "INFO", "request", "", 0, "", 5)] = 3
    # A class of which no record is left has nothing to be corrected by.
    purged = {Key(MINUTE, noon, SOURCE, "INFO", "login", "", 0, "", 5): 3}
    log_store.with_counts(lambda counts: counts.add({**false, **purged}), change=True)
    assert log_store.recount(check=True) == Recount(21, len(false))
    assert stored(log_store) not in (right, {**right, **purged})
    assert log_store.recount() == Recount(21, len(false))
    assert stored(log_store) == {**right, **purged}
    assert log_store.recount(check=True).wrong == 0


def test_counts_are_made_anew_where_there_are_none(log_store: Any) -> None:
    put(log_store, *records())
    right = stored(log_store)
    log_store.with_counts(
        lambda counts: counts.add({key: -count for key, count in right.items()}), change=True
    )
    assert stored(log_store) == {}
    log_store.recount(since=NOON + timedelta(hours=5, minutes=1))
    assert {key.start for key in stored(log_store) if key.step == MINUTE} == {
        int(NOON.timestamp()) + 3600 * hour for hour in range(6, 20)
    }
    log_store.recount()
    assert stored(log_store) == right


class Memory:
    """Counts and records as a dict and a list; what retention takes is simply gone."""

    def __init__(self, raws: list[dict[str, Any]]) -> None:
        self.raws = [{"source": "s", "route": None, "status": None, "duration_ms": None,
                      "action": None, **raw} for raw in raws]  # fmt: skip
        self.counts = tally(self.raws)

    def __call__(self, work: Any, *, change: bool = False) -> Any:
        return work(self)

    def oldest_records(self) -> dict[str, int]:
        from app.logstore.counts import second_of
        from app.logstore.record import keep_class

        found: dict[str, int] = {}
        for raw in self.raws:
            keep = keep_class(raw)
            found[keep] = min(second_of(raw["id"]), found.get(keep, 2**40))
        return found

    def first_ends(self) -> Any:
        return [(key.level, key.action, key.start + key.step) for key in self.counts
                if key.step > 0]  # fmt: skip

    def oldest_start(self, step: int) -> int | None:
        return min((key.start for key in self.counts if key.step == step), default=None)

    def next_day(self, second: int) -> int | None:
        days = {key.start for key in self.counts if key.step == DAY and key.start >= second}
        return min(days, default=None)

    def records(self, low: int, high: int) -> Any:
        day = NOON.replace(hour=0).timestamp()
        return self.raws if low <= day < high else []

    def stored(self, low: int, high: int) -> Any:
        return [(key, count) for key, count in self.counts.items() if low <= key.start < high]

    def add(self, counts: Any) -> None:
        self.counts.update(counts)


def test_steps_whose_records_retention_has_taken_are_left_as_they_are() -> None:
    minutes = [sample(NOON + timedelta(minutes=n)) for n in range(9)]
    memory = Memory([*minutes, *(sample(NOON + timedelta(minutes=n), level="ERROR")
                                 for n in range(9))])  # fmt: skip
    before = memory.counts.copy()
    # Every INFO record up to the middle of the fifth minute is gone.
    memory.raws = memory.raws[5:]
    assert recount(memory, None, check=False) == Recount(13, 0)
    assert memory.counts == before
    # What is not all gone, and no purge has touched, is still corrected.
    wrong = next(key for key in before if key.step == DAY and key.level == "ERROR")
    memory.counts[wrong] += 1
    assert recount(memory, None, check=False).wrong == 1
    assert memory.counts == before


def test_an_empty_store_has_nothing_to_correct(log_store: LogStore) -> None:
    assert log_store.recount() == Recount(0, 0)
    assert log_store.histogram(LogQuery(), MINUTE).points[0].count == 0
