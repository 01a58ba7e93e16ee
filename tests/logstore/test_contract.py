"""What every store does, the same on each."""

import os
import re
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.logstore.contract import Checkpoint, LogQuery, LogStore, StoreUnavailable
from app.logstore.record import normalise
from app.observability.ids import id_floor
from tests.logstore.filtered import minutes
from tests.logstore.stores import SOURCE, everything, open_store, put, sample
from tests.logstore.test_record import ANYTHING, NAMES


def size(store: LogStore) -> int:
    return sum(count for _, count in store.count_by(LogQuery(), "source"))


def test_a_record_comes_back_as_it_went_in(log_store: LogStore) -> None:
    record = normalise(sample(
        action="request", status=500, duration_ms=1.25, user_id="7", path="/größe?x=1",
        details={"queries": [{"statement": "SELECT 'ä'", "ms": 1.5}], "n": 2**62,
                 "$set": {"a.b": {"$gt": ""}}, "": None, "a.b": [], "z": -1, "a": 0.1},
        exception={"type": "E", "message": "m", "traceback": "t", "fingerprint": "f"},
    ))  # fmt: skip
    assert put(log_store, record) == [record["id"]]
    assert log_store.get(record["id"]) == {**record, "source": SOURCE, "seq": 1}


def test_a_record_is_stored_once_and_only_new_ids_are_told(log_store: LogStore) -> None:
    one, two, three = sample(), sample(), sample()
    assert put(log_store, one, two) == [one["id"], two["id"]]
    assert put(log_store, two, three, three) == [three["id"]]
    assert len(log_store.page(LogQuery()).records) == 3


def test_a_batch_and_its_checkpoint_are_stored_together(log_store: LogStore) -> None:
    log_store.append([sample(), sample()], Checkpoint(SOURCE, "a", 300, False, 1))
    log_store.append([], Checkpoint(SOURCE, "a", 400, True, 3))
    log_store.append([sample()], Checkpoint(SOURCE, "b", 10, False, 3))
    log_store.append([], Checkpoint("another", "a", 1, False, 1))
    known = sorted(log_store.checkpoints(SOURCE), key=lambda one: one.segment)
    assert known == [
        Checkpoint(SOURCE, "a", 400, True, 3),
        Checkpoint(SOURCE, "b", 10, False, 4),
    ]


def test_a_forgotten_segment_never_takes_the_highest_number_with_it(log_store: LogStore) -> None:
    log_store.append([sample()], Checkpoint(SOURCE, "a", 1, True, 1))
    log_store.append([sample()], Checkpoint(SOURCE, "b", 1, True, 2))
    log_store.forget(SOURCE, "b")
    log_store.forget(SOURCE, "a")
    assert [one.segment for one in log_store.checkpoints(SOURCE)] == ["b"]


def test_a_record_of_a_wrong_clock_is_stored(log_store: LogStore) -> None:
    for record_id in (
        id_floor(datetime(1970, 1, 1, tzinfo=UTC)),
        id_floor(datetime(2200, 1, 1, tzinfo=UTC)),
        "ffffffff-ffff-7fff-bfff-ffffffffffff",
    ):
        assert put(log_store, {**sample(), "id": record_id, "timestamp": "x"}) == [record_id]
        found = log_store.get(record_id)
        assert found is not None
        assert found["id"] == record_id


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.dictionaries(NAMES, ANYTHING), max_size=4))
def test_every_store_takes_any_record(log_store: LogStore, raws: list[dict[Any, Any]]) -> None:
    before = size(log_store)
    wanted = {normalise(raw)["id"] for raw in raws}
    known = {record_id for record_id in wanted if log_store.get(record_id)}
    new = put(log_store, *raws)
    assert set(new) == wanted - known
    assert size(log_store) == before + len(new)
    assert "encoded" not in log_store.refused
    for record_id in wanted:
        found = log_store.get(record_id)
        assert found is not None
        assert normalise(found)["id"] == record_id


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://nobody:canary-4711@127.0.0.1:1/x",
        "mongodb://nobody:canary-4711@127.0.0.1:1,127.0.0.2:1/x?serverSelectionTimeoutMS=50",
    ],
)
def test_a_store_that_is_away_says_so_and_never_shows_the_password(url: str) -> None:
    with open_store(url, ready=False) as store:
        for use in (
            lambda: put(store, sample()),
            lambda: store.append([sample()], Checkpoint(SOURCE, "a", 0, False, 1)),
            lambda: store.page(LogQuery()),
            lambda: store.after(LogQuery()),
            lambda: store.get(sample()["id"]),
            lambda: store.group_by(LogQuery(), ["level", "details.place"]),
            lambda: store.forget(SOURCE, "a"),
        ):
            with pytest.raises(StoreUnavailable) as caught:
                use()
            assert re.fullmatch(r"The log store does not answer: [^\n]{5,200}", str(caught.value))
            assert "canary" not in str(caught.value)


def test_numbers_rise_with_each_record_of_a_source(log_store: LogStore) -> None:
    put(log_store, sample(), sample())
    put(log_store, sample())
    put(log_store, sample(), source="another")
    assert [one["seq"] for one in everything(log_store)] == [1, 2, 3, 1]


def test_a_store_may_be_prepared_again(log_store: LogStore) -> None:
    put(log_store, sample())
    log_store.prepare()
    assert len(everything(log_store)) == 1


def test_a_child_process_uses_connections_of_its_own(log_store: LogStore) -> None:
    put(log_store, sample())
    child = os.fork()
    if child == 0:
        # Both sides talk at once: on a shared connection they would read each other's answers.
        os._exit(0 if all(len(log_store.page(LogQuery()).records) == 1 for _ in range(50)) else 1)
    answers = [len(log_store.page(LogQuery()).records) for _ in range(50)]
    assert os.waitpid(child, 0)[1] == 0
    assert answers == [1] * 50


def test_two_hosts_store_the_same_outbox_rows_once(log_store: LogStore) -> None:
    records = [sample() for _ in range(200)]
    new: list[str] = []

    def host(source: str) -> None:
        for start in range(0, 200, 20):
            checkpoint = Checkpoint(source, "outbox", 0, False, start + 1)
            new.extend(log_store.append(records[start : start + 20], checkpoint))

    threads = [threading.Thread(target=host, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(new) == sorted(one["id"] for one in records)
    assert len(everything(log_store)) == 200


def test_what_is_expired_comes_oldest_first_and_by_class(log_store: LogStore) -> None:
    records = [sample(minutes(index % 5), message=str(index)) for index in range(10)]
    put(log_store, *records, sample(minutes(1), level="ERROR"), sample(minutes(1), action="login"))
    wanted = sorted(one["id"] for one in records if one["id"] < id_floor(minutes(3)))
    seen: list[str] = []
    while page := log_store.expired("info", id_floor(minutes(3)), seen[-1] if seen else None, 4):
        assert len(page) <= 4
        seen += [one["id"] for one in page]
    assert seen == wanted
    whole = log_store.expired("error", id_floor(minutes(3)))
    assert whole == log_store.page(LogQuery(levels=("ERROR",))).records


def test_exactly_the_named_records_are_deleted(log_store: LogStore) -> None:
    records = [sample(minutes(index), message=str(index)) for index in range(4)]
    put(log_store, *records, sample(minutes(0), message="kept", level="ERROR"))
    gone = [records[0]["id"], records[2]["id"]]
    assert log_store.purge("error", gone) == 0
    assert log_store.purge("info", gone) == 2
    assert log_store.purge("info", gone) == 0
    assert log_store.purge("info", []) == 0
    left = [one["message"] for one in log_store.page(LogQuery()).records]
    assert sorted(left) == ["1", "3", "kept"]


def test_a_lease_has_one_holder_until_it_ends(log_store: LogStore) -> None:
    assert log_store.lease("work", "a", 60)
    assert not log_store.lease("work", "b", 60)
    assert log_store.lease("other work", "b", 60)
    assert log_store.lease("work", "a", 60)
    # Whoever is done gives it up.
    assert log_store.lease("work", "a", 0)
    assert log_store.lease("work", "b", 60)
    assert not log_store.lease("work", "a", 60)


def test_of_many_who_want_a_lease_at_once_one_gets_it(log_store: LogStore) -> None:
    start = threading.Barrier(6)
    won: list[str] = []

    def host(name: str) -> None:
        start.wait()
        if log_store.lease("work", name, 60):
            won.append(name)

    threads = [threading.Thread(target=host, args=(str(name),)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
