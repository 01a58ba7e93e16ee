"""What every store answers, the same on each."""

from dataclasses import replace
from typing import Any, cast

import pytest

from app.logstore.contract import Group, LogQuery, LogStore
from app.logstore.counts import Selection
from app.logstore.filters import is_exact
from app.observability.ids import id_floor
from tests.logstore.filtered import FILTERED, FILTERS, minutes
from tests.logstore.stores import put, sample


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


def test_of_many_records_some_fields_can_be_asked_for(log_store: LogStore) -> None:
    put(log_store, sample(minutes(1), action="error", path="/a", details={"told": 1}),
        sample(minutes(0), action="request", route="/b"))  # fmt: skip
    page = log_store.page(LogQuery(actions=("error", "request")), None, 1, ("path", "details"))
    assert page.records == [{"id": page.next, "path": "/a", "details": {"told": 1}}]
    (other,) = log_store.page(LogQuery(actions=("request",)), None, 1, ("path", "route")).records
    assert {name: other[name] for name in ("path", "route")} == {"path": None, "route": "/b"}
    failed = sample(minutes(2), exception={"type": "KeyError", "fingerprint": "f"})
    put(log_store, failed)
    newer = log_store.newer(LogQuery(), page.next or "", 5, ("exception_type", "details"))
    assert newer == [{"id": failed["id"], "exception_type": "KeyError", "details": {}}]


def test_a_level_is_any_text(log_store: LogStore) -> None:
    put(log_store, sample(level="IT'S 5%"), sample(level="%(LEVELS)S"), sample(level="ERROR"))
    for asked in (("it's 5%",), ("it's 5%", "%(levels)s")):
        found = log_store.page(LogQuery(levels=asked)).records
        assert {one["level"] for one in found} == {one.upper() for one in asked}


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


def test_a_time_range_is_one_of_ids() -> None:
    query = LogQuery(since=minutes(0), until=minutes(1))
    assert query.id_bounds() == (id_floor(minutes(0)), id_floor(minutes(1)))
    assert LogQuery().id_bounds() == (None, None)


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
    chosen = Selection(failed=True, fingerprint="a")
    days = cast(Any, log_store).with_counts(lambda counts: counts.first_days(chosen))
    assert list(days) == ["a"]
    # The counts outlive the records.
    log_store.purge("error", [records[0]["id"]])
    busy = log_store.error_groups(query, 600).groups[1]
    assert busy.first["id"] == records[1]["id"]
    assert busy.counted_since == minutes(-2000).replace(hour=0, minute=0)
    assert log_store.recount(check=True).wrong == 0
