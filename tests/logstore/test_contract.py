"""What every store does, the same on each."""

import os
import re
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.logstore.contract import Checkpoint, Group, LogQuery, LogStore, StoreUnavailable
from app.logstore.filters import is_exact
from app.logstore.record import normalise
from app.observability.ids import id_floor
from tests.logstore.stores import SOURCE, everything, open_store, put, sample
from tests.logstore.test_record import ANYTHING, NAMES

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def minutes(number: float) -> datetime:
    return NOW + timedelta(minutes=number)


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


def test_pages_follow_one_another_to_the_end(log_store: LogStore) -> None:
    records = [sample(minutes(index % 7), message=str(index)) for index in range(25)]
    put(log_store, *records)
    seen: list[str] = []
    before = None
    for _ in range(3):
        page = log_store.page(LogQuery(), before, 10)
        seen += [one["id"] for one in page.records]
        before = page.next
    assert before is None
    assert seen == sorted((one["id"] for one in records), reverse=True)


def test_what_is_newer_comes_oldest_first(log_store: LogStore) -> None:
    records = [sample(minutes(i), message=str(i), user_id=str(i % 2)) for i in range(9)]
    put(log_store, *records)
    for query, after, found in (
        (LogQuery(), 3, ["4", "5", "6"]),
        (LogQuery(user_id="1"), 3, ["5", "7"]),
        (LogQuery(levels=("INFO", "ERROR")), 6, ["7", "8"]),
        (LogQuery(texts=("8",)), 0, ["8"]),
        (LogQuery(), 8, []),
    ):
        newer = log_store.newer(query, records[after]["id"], 3)
        assert [one["message"] for one in newer] == found, query


def test_several_rare_values_come_in_one_order(log_store: LogStore) -> None:
    actions, levels = ("login", "logout", "error"), ("INFO", "ERROR", "CRITICAL")
    put(log_store, *(
        sample(minutes(i), message=str(i), action=actions[i % 3], level=levels[i % 3])
        for i in range(30)
    ))  # fmt: skip
    for query, newest in (
        (LogQuery(actions=("login", "error")), ["29", "27", "26", "24"]),
        (LogQuery(levels=("ERROR", "CRITICAL")), ["29", "28", "26", "25"]),
    ):
        page = log_store.page(query, None, 4)
        assert [one["message"] for one in page.records] == newest


FILTERS = [
    (LogQuery(), "abcdef"),
    (LogQuery(levels=("ERROR", "CRITICAL")), "cf"),
    (LogQuery(levels=("error",)), "c"),
    (LogQuery(levels=("INFO",)), "abd"),
    (LogQuery(levels=("DEBUG",)), "e"),
    (LogQuery(levels=("DEBUG", "CRITICAL")), "ef"),
    (LogQuery(actions=("item_create",)), "b"),
    (LogQuery(actions=("item_create", "error")), "bc"),
    (LogQuery(actions=("item_create", "request")), "ab"),
    (LogQuery(actions=("request",)), "a"),
    (LogQuery(actions=("item_create", "error"), levels=("ERROR", "INFO")), "bc"),
    (LogQuery(without=(LogQuery(actions=("request", "error")),)), "bdef"),
    (LogQuery(user_id="7"), "ab"),
    (LogQuery(account="b@c.d"), "b"),
    (LogQuery(request_id="r1"), "abc"),
    (LogQuery(fingerprint="f1"), "c"),
    (LogQuery(route="/items/<id>"), "a"),
    (LogQuery(status_min=500), "a"),
    (LogQuery(status_min=400, status_max=499), "e"),
    (LogQuery(status_max=10**30), "ae"),
    (LogQuery(status_min=403, status_max=403), "e"),
    (LogQuery(status_min=429, status_max=429), ""),
    (LogQuery(min_duration_ms=100), "a"),
    (LogQuery(max_duration_ms=119.5), ""),
    (LogQuery(min_duration_ms=120, max_duration_ms=120), "a"),
    (LogQuery(equal=(("method", "PUT"),)), "a"),
    (LogQuery(equal=(("method", "GET"), ("method", "PUT"), ("path", "/items/5"))), "a"),
    (LogQuery(equal=(("method", "PUT"), ("path", "/items"))), ""),
    (LogQuery(equal=(("target_type", "item"), ("target_id", "5"), ("target_id", "6"))), "b"),
    (LogQuery(equal=(("parent_request_id", "p"), ("host", "\0"), ("outcome", "x"))), ""),
    (LogQuery(equal=tuple((name, "w1") for name in ("host", "release", "remote_addr"))), "c"),
    (LogQuery(equal=(("logger", "app.test"),)), "abcdef"),
    (LogQuery(without=(LogQuery(levels=("INFO",)), LogQuery(status_min=500))), "cef"),
    (LogQuery(without=(LogQuery(user_id="7", actions=("request",)),)), "bcdef"),
    (LogQuery(without=(LogQuery(without=(LogQuery(user_id="7"),)),)), "ab"),
    (LogQuery(without=(LogQuery(without=(LogQuery(texts=("größe",)),)),)), "e"),
    (LogQuery(levels=("INFO",), without=(LogQuery(since=minutes(1), until=minutes(3)),)), "ad"),
    (LogQuery(since=minutes(2)), "cdef"),
    (LogQuery(until=minutes(2)), "ab"),
    (LogQuery(since=minutes(1), until=minutes(3), levels=("INFO",)), "b"),
    (LogQuery(texts=("hello",)), "d"),
    (LogQuery(texts=("HELLO wor",)), "d"),
    (LogQuery(texts=("/items/5",)), "a"),
    (LogQuery(texts=("valueerror",)), "c"),
    (LogQuery(texts=("broken cable",)), "c"),
    (LogQuery(texts=("select 1",)), "a"),
    (LogQuery(texts=("b@c",)), "b"),
    (LogQuery(texts=("GRÖSSE",)), "d"),
    (LogQuery(texts=("größe",)), "e"),
    (LogQuery(texts=("GRÖßE",)), "e"),
    (LogQuery(texts=("100%",)), "f"),
    (LogQuery(texts=("0%_",)), "f"),
    (LogQuery(texts=("a_b",)), ""),
    (LogQuery(texts=('say "hi" \\',)), "b"),
    (LogQuery(texts=('GRÖSSE "x',)), "d"),
    (LogQuery(texts=(".*",)), ""),
    (LogQuery(texts=('xÖ"',)), "f"),
    (LogQuery(texts=('","',)), ""),
    (LogQuery(texts=("5k",)), ""),
    (LogQuery(texts=("hello", "GRÖSSE")), "d"),
    (LogQuery(texts=("hello", "there", "")), ""),
    (LogQuery(texts=("x" * 40_000,)), ""),
    (LogQuery(texts=("nowhere\0",)), ""),
    (LogQuery(user_id="\0", request_id="\ud800"), ""),
    (LogQuery(texts=("i",), user_id="7", levels=("INFO",)), "ab"),
]


FILTERED = [
    sample(minutes(0), message="a", action="request", path="/items/5", route="/items/<id>",
           status=500, duration_ms=120.0, user_id="7", request_id="r1", statement="SELECT 1",
           method="PUT"),
    sample(minutes(1), message="b", action="item_create", user_id="7", account="b@c.d",
           request_id="r1", details={"note": 'Say "hi" \\ there'}, target_type="item",
           target_id="6"),
    sample(minutes(2), message="c", action="error", level="ERROR", request_id="r1",
           exception={"type": "ValueError", "message": "Broken cable", "fingerprint": "f1"},
           host="w1", release="w1", remote_addr="w1"),
    sample(minutes(3), message="d", details={"note": "Hello World", "size": 'grÖsse "x" axb'}),
    sample(minutes(4), message="e", level="DEBUG", status=403, details={"size": "Größe"}),
    sample(minutes(5), message="f", level="CRITICAL",
           details={"share": "100%_", "ä": 'xö"', "heat": "5\u212a", "like": "grxye"}),
]  # fmt: skip


def test_each_filter_selects_its_records(log_store: LogStore) -> None:
    put(log_store, *FILTERED)
    for query, found in FILTERS:
        page = log_store.page(query)
        follow, _ = log_store.after(query, None)
        counted = sorted(value for value, _ in log_store.count_by(query, "message"))
        assert "".join(one["message"] for one in page.records[::-1]) == found, query
        assert (page.next, page.looked_back_to) == (None, None), query
        assert "".join(one["message"] for one in follow) == found, query
        if is_exact(query):
            assert "".join(counted) == found, query


def test_what_one_filter_selects_another_can_leave_out(log_store: LogStore) -> None:
    put(log_store, *FILTERED)
    for query, unwanted in FILTERS:
        rest = LogQuery(without=(query,))
        found = {one["message"] for one in log_store.page(rest).records}
        assert found == set("abcdef") - set(unwanted), query
        if is_exact(rest):
            assert {value for value, _ in log_store.count_by(rest, "message")} == found, query


def test_a_field_that_no_query_may_name_is_refused(log_store: LogStore) -> None:
    for name in ("nonsense", "pid", "details", "query"):
        with pytest.raises(ValueError, match=f"can ask for the field '{name}'"):
            log_store.page(LogQuery(equal=((name, "x"),)))


def test_a_search_that_runs_out_of_time_says_how_far_it_came_and_goes_on(log_store: Any) -> None:
    store = log_store
    store._deadline = 0
    put(store, *(sample(minutes(index / 100), message="x") for index in range(3500)))
    put(store, sample(minutes(-1), message="needle"))
    page = store.page(LogQuery(texts=("needle",)))
    assert (page.records, page.looked_back_to) == ([], minutes(25))
    tries = 0
    while not page.records and page.next:
        page = store.page(LogQuery(texts=("needle",)), page.next)
        tries += 1
    assert [one["message"] for one in page.records] == ["needle"]
    assert tries > 1


def test_the_tail_starts_with_the_newest_and_follows(log_store: LogStore) -> None:
    put(log_store, *(sample(minutes(index), message=str(index)) for index in range(5)))
    found, cursor = log_store.after(LogQuery(), None, 3)
    assert [one["message"] for one in found] == ["2", "3", "4"]
    assert log_store.after(LogQuery(), cursor) == ([], cursor)
    # Late, and out of order of time: a host that was cut off.
    put(log_store, sample(minutes(-9), message="late"), source="another")
    put(log_store, sample(minutes(6), message="next"))
    found, cursor = log_store.after(LogQuery(), cursor)
    assert sorted(one["message"] for one in found) == ["late", "next"]
    assert log_store.after(LogQuery(), cursor)[0] == []


def test_the_tail_hands_out_no_more_than_asked_for_and_nothing_twice(log_store: LogStore) -> None:
    _, cursor = log_store.after(LogQuery(), None)
    put(log_store, *(sample(message=str(index)) for index in range(7)))
    put(log_store, *(sample(message=str(index)) for index in range(7, 9)), source="another")
    seen: list[str] = []
    for _ in range(5):
        found, cursor = log_store.after(LogQuery(), cursor, 3)
        assert len(found) <= 3
        seen += [one["message"] for one in found]
    assert sorted(seen) == [str(index) for index in range(9)]


def test_a_damaged_tail_cursor_starts_anew(log_store: LogStore) -> None:
    put(log_store, sample(message="only"))
    for cursor in ("", "x", "e30", "WzFd", "eyJhIjoieCJ9", "ä" * 9, "\0"):
        found, _ = log_store.after(LogQuery(), cursor)
        assert [one["message"] for one in found] == ["only"], cursor


def test_what_is_no_id_finds_nothing_and_breaks_nothing(log_store: LogStore) -> None:
    put(log_store, sample())
    for bad in ("", "x", "\0", "0f0e0d0c-0000-4000-8000-000000000001", "1" * 5000):
        assert log_store.get(bad) is None
        assert len(log_store.page(LogQuery(), bad).records) == 1


def test_an_id_is_found_in_capitals_too(log_store: LogStore) -> None:
    record = sample()
    put(log_store, record)
    found = log_store.get(record["id"].upper())
    assert found is not None
    assert found["id"] == record["id"]


def test_records_are_counted_by_any_field_most_frequent_first(log_store: LogStore) -> None:
    failure = {"exception": {"type": "KeyError"}, "details": {"place": "a.py:1 in f"}}
    put(
        log_store,
        sample(minutes(1), level="ERROR", **failure),
        sample(minutes(3), level="ERROR", **failure),
        sample(minutes(2), level="ERROR", exception={"type": "ValueError"}),
    )
    assert log_store.count_by(LogQuery(), "exception.type") == [("KeyError", 2), ("ValueError", 1)]
    groups = log_store.group_by(LogQuery(), ["exception.type", "details.place"])
    assert [(one.values, one.count) for one in groups] == [
        (("KeyError", "a.py:1 in f"), 2),
        (("ValueError", None), 1),
    ]
    assert groups[0].last_seen == minutes(3)


def test_equal_counts_are_ordered_by_the_newest(log_store: LogStore) -> None:
    old, new = sample(route="/old"), sample(route="/new", details={"it's ä.b": "x"})
    put(log_store, old, new)
    for fields, of_new, of_old in (
        (["route", "user_id"], ("/new", None), ("/old", None)),
        (["details.it's ä.b", "route"], ("x", "/new"), (None, "/old")),
    ):
        groups = [Group(of_new, 1, new["id"]), Group(of_old, 1, old["id"])]
        assert log_store.group_by(LogQuery(), fields) == groups
        assert log_store.group_by(LogQuery(), fields, 1) == groups[:1]


def test_an_unknown_field_cannot_be_counted(log_store: LogStore) -> None:
    for field in ("nonsense", "details", "exception.nonsense", "id; DROP"):
        with pytest.raises(ValueError, match="no field"):
            log_store.count_by(LogQuery(), field)


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


def test_a_time_range_is_one_of_ids() -> None:
    query = LogQuery(since=minutes(0), until=minutes(1))
    assert query.id_bounds() == (id_floor(minutes(0)), id_floor(minutes(1)))
    assert LogQuery().id_bounds() == (None, None)


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


def test_errors_are_grouped_by_fingerprint_over_time(log_store: LogStore) -> None:
    def failed(name: str, minute: float, **fields: Any) -> dict[str, Any]:
        exception = {"type": name.upper(), "traceback": "t", "fingerprint": name}
        return sample(minutes(minute), level="ERROR", exception=exception, **fields)

    records = [
        failed("a", -2000, release="1"), failed("a", 0, user_id="7"), failed("a", 1, user_id="7"),
        failed("a", 11, user_id="8"), failed("a", 12, message="newest"), failed("b", 5),
        failed("c", 19), failed("old", -99),
    ]  # fmt: skip
    put(log_store, *records, sample(minutes(1), level="ERROR"))
    query = LogQuery(since=minutes(0), until=minutes(20))
    found = log_store.error_groups(query, 600)
    assert [(one.fingerprint, one.counts, one.users) for one in found.groups] == [
        ("c", [0, 1], 0), ("a", [2, 2], 2), ("b", [1, 0], 0),
    ]  # fmt: skip
    assert (found.starts, found.left_out) == ([minutes(0), minutes(10)], 0)
    busy = found.groups[1]
    assert (busy.first["id"], busy.first["release"]) == (records[0]["id"], "1")
    assert busy.newest["message"] == "newest"
    assert busy.newest["exception"] == {
        "type": "A", "message": None, "traceback": None, "fingerprint": "a",
    }  # fmt: skip
    # Of the last step; there of more than are asked for those that happened more often.
    some = log_store.error_groups(query, 600, limit=1)
    assert ([one.fingerprint for one in some.groups], some.left_out) == (["a"], 2)
    # What was asked for by name is told also when it did not happen then.
    for name, told in (("a", [4]), ("old", [0]), ("none", None)):
        one = log_store.error_groups(replace(query, fingerprint=name), 1200)
        assert [group.counts for group in one.groups] == ([told] if told else []), name
    # The counts outlive the records.
    log_store.purge("error", [records[0]["id"]])
    busy = log_store.error_groups(query, 600).groups[1]
    assert busy.first["id"] == records[1]["id"]
    assert busy.counted_since == minutes(-2000).replace(hour=0, minute=0)
    assert log_store.recount(check=True).wrong == 0
