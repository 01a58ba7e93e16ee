"""What counts answer, the same on each store."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.logstore.contract import LogQuery, LogStore, Point, Recount
from app.logstore.count_questions import CountQuestions
from app.logstore.counts import HOUR, MINUTE, percentiles
from tests.logstore.stores import everything, put, sample

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def at(minute: float, **fields: Any) -> dict[str, Any]:
    return sample(NOON + timedelta(minutes=minute), **fields)


def request(minute: float, duration_ms: float = 10.0, **fields: Any) -> dict[str, Any]:
    return at(
        minute,
        **{"action": "request", "route": "/a", "status": 200, "duration_ms": duration_ms, **fields},
    )


def window(low: float, high: float, **fields: Any) -> LogQuery:
    since, until = (NOON + timedelta(minutes=minute) for minute in (low, high))
    return LogQuery(since=since, until=until, **fields)


def test_every_step_of_a_histogram_has_its_count(log_store: LogStore) -> None:
    put(log_store, at(-1), at(0), at(0.5), at(3, level="ERROR"), at(5))
    put(log_store, at(3.9, level="ERROR"), at(4), source="another")
    chart = log_store.histogram(window(0, 5), MINUTE)
    assert chart.looked_back_to is None
    assert [point.count for point in chart.points] == [2, 0, 0, 2, 1]
    assert [point.start for point in chart.points] == [
        NOON + timedelta(minutes=minute) for minute in range(5)
    ]
    by_level = log_store.histogram(window(0, 5), MINUTE, "level").points
    assert by_level[3] == Point(NOON + timedelta(minutes=3), 2, {"ERROR": 2})
    assert by_level[1] == Point(NOON + timedelta(minutes=1), 0, {})
    errors = log_store.histogram(window(-60, 60, levels=("error",)), 30 * MINUTE)
    assert [point.count for point in errors.points] == [0, 0, 2, 0]


def test_a_histogram_without_a_time_is_from_the_first_record_until_now(
    log_store: LogStore,
) -> None:
    assert [point.count for point in log_store.histogram(LogQuery(), HOUR).points] == [0]
    put(log_store, sample(datetime.now(UTC) - timedelta(days=2)), sample())
    chart = log_store.histogram(LogQuery(), HOUR)
    assert 48 <= len(chart.points) <= 73
    assert sum(point.count for point in chart.points) == 2


def test_what_counts_do_not_know_is_looked_at_under_a_deadline(log_store: Any) -> None:
    put(log_store, *(request(minute / 100, user_id="7") for minute in range(1500)))
    put(log_store, request(0.5, user_id="8", status=404), request(20.2, user_id="8"))
    chart = log_store.histogram(window(0, 21, user_id="8"), 10 * MINUTE, "status_class")
    assert chart.looked_back_to is None
    assert [point.by for point in chart.points] == [{4: 1}, {}, {2: 1}]
    log_store._deadline = 0
    chart = log_store.histogram(window(0, 21, user_id="7"), 10 * MINUTE)
    assert chart.looked_back_to == NOON + timedelta(minutes=5)
    assert [point.count for point in chart.points] == [500, 500, 0]


def test_totals_are_summed_up_by_any_of_the_fields(log_store: LogStore) -> None:
    put(
        log_store,
        *(request(minute, 100.0, route="/slow") for minute in range(3)),
        *(request(minute / 10) for minute in range(20)),
        request(1, 900.0, status=503),
        request(1, status=404, route=None),
        at(1, level="ERROR", action="error"),
        request(90),
    )
    found = log_store.counted(window(0, 60, actions=("request",)), ["route"], [0.5])
    assert [(one.values, one.count) for one in found] == [
        (("/a",), 21), (("/slow",), 3), ((None,), 1),
    ]  # fmt: skip
    assert found[1].percentiles[0.5] == pytest.approx(100, rel=0.05)
    classes = log_store.counted(window(0, 60), ["status_class", "action"])
    assert {one.values: one.count for one in classes} == {
        (2, "request"): 23, (5, "request"): 1, (4, "request"): 1, (None, "error"): 1,
    }  # fmt: skip
    (all_of_it,) = log_store.counted(LogQuery())
    assert (all_of_it.values, all_of_it.count) == ((), 27)
    (nothing,) = log_store.counted(LogQuery(route="/nowhere"), (), [0.95])
    assert (nothing.count, nothing.percentiles) == (0, {0.95: None})


def test_percentiles_are_told_for_the_whole_and_for_each_step(log_store: LogStore) -> None:
    put(log_store, *(request(0, float(ms)) for ms in range(1, 101)))
    put(log_store, *(request(2, float(ms)) for ms in range(1001, 1101)))
    (whole,) = log_store.percentiles(window(0, 3, actions=("request",)))
    assert whole.count == 200
    assert whole.percentiles == {
        quantile: pytest.approx(exact, rel=0.05)
        for quantile, exact in ((0.5, 100), (0.95, 1090), (0.99, 1098))
    }
    steps = log_store.percentiles(window(0, 3), [0.95], MINUTE)
    assert [one.values[0] for one in steps] == [NOON + timedelta(minutes=n) for n in range(3)]
    assert steps[0].percentiles[0.95] == pytest.approx(95, rel=0.05)
    assert steps[1].percentiles == {0.95: None}


def test_one_question_gives_the_buckets_of_all_that_was_counted_and_measured(
    log_store: LogStore,
) -> None:
    put(
        log_store,
        request(0, db_ms=5.0),
        request(1, 30.0, status=503, route="/b"),
        request(10, db_ms=700.0),
        at(1, action="sample", details={"cpu_percent": 40, "rss_bytes": "?"}),
        at(1, action="login_failed"),
    )
    found = log_store.buckets(window(0, 20), ["action", "measure", "status_class"], 10 * MINUTE)
    start = int(NOON.timestamp())
    assert {key: sum(one.values()) for key, one in found.items()} == {
        (start, "request", None, 2): 1,
        (start, "request", None, 5): 1,
        (start, "request", "db_ms", None): 1,
        (start, "sample", None, None): 1,
        (start, "sample", "cpu_percent", None): 1,
        (start, "login_failed", None, None): 1,
        (start + 600, "request", None, 2): 1,
        (start + 600, "request", "db_ms", None): 1,
    }
    later = percentiles(found[start + 600, "request", "db_ms", None], [1.0])
    assert later[1.0] == pytest.approx(700, rel=0.05)
    # By route, and without steps; nothing is measured twice there.
    assert {
        key: sum(one.values())
        for key, one in log_store.buckets(window(0, 20, actions=("request",)), ["route"]).items()
    } == {("/a",): 2, ("/b",): 1}
    assert log_store.recount(check=True) == Recount(5, 0)


TEXTS = st.sampled_from(["/a", "/b", None])
REQUESTS = st.builds(
    request, st.floats(-3000, 3000), st.floats(0.1, 1e4), route=TEXTS,
    status=st.sampled_from([200, 404, 503]), level=st.sampled_from(["INFO", "ERROR"]),
)  # fmt: skip
QUERIES = st.builds(
    LogQuery, levels=st.sampled_from([(), ("ERROR",)]), route=TEXTS,
    status_min=st.sampled_from([None, 400]), status_max=st.sampled_from([None, 499]),
    without=st.lists(st.sampled_from([
        LogQuery(actions=("request",)), LogQuery(levels=("INFO",), status_max=499), LogQuery(),
        LogQuery(route="/a"), LogQuery(without=(LogQuery(status_min=400),)),
    ]), max_size=2).map(tuple),
)  # fmt: skip


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(REQUESTS, max_size=20), QUERIES, st.integers(-3000, 3000), st.integers(1, 6000))
def test_counts_say_what_the_records_say(
    log_store: LogStore, records: Any, query: LogQuery, low: int, length: int
) -> None:
    put(log_store, *records)
    query = LogQuery(**{**vars(query), **{
        name: NOON + timedelta(minutes=minute)
        for name, minute in (("since", low), ("until", low + length))
    }})  # fmt: skip
    exact = dict(log_store.count_by(query, "route"))
    assert {one.values[0]: one.count for one in log_store.counted(query, ["route"])} == exact
    chart = log_store.histogram(query, 6 * HOUR, "route")
    assert sum(point.count for point in chart.points) == sum(exact.values())


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda store: store.counted(LogQuery(user_id="7")), "asks for more"),
        (lambda store: store.percentiles(LogQuery(texts=("x",)), step=60), "asks for more"),
        (lambda store: store.counted(LogQuery(), ["path"]), "not counted by 'path'"),
        (lambda store: store.histogram(LogQuery(), 60, "user_id"), "not counted by"),
        (lambda store: store.buckets(LogQuery(route="/a"), ["measure"]), "all routes together"),
        (lambda store: store.histogram(LogQuery(), 90), "whole number of minutes"),
        (lambda store: store.histogram(window(0, 9999), 60), "At most 3000"),
        (lambda store: store.purge_counts(NOON, 61), "no counts of 61 s"),
    ],
)
def test_what_counts_cannot_answer_is_refused_in_one_sentence(ask: Any, says: str) -> None:
    class Store(CountQuestions):
        _deadline = 0.0

        def page(self, *_: Any) -> Any: ...
        def with_counts(self, work: Any, *, change: bool = False) -> Any: ...
        def _occurrences(self, *_: Any) -> Any: ...

    with pytest.raises(ValueError, match=says):
        ask(Store())


def test_purged_minutes_leave_hours_that_answer_for_their_time(log_store: LogStore) -> None:
    day = 24 * 60
    put(log_store, *(request(minute) for minute in (-2 * day, 1 - 2 * day, -day, 0, 0.5, 1)))
    # Each of its route, and again of all routes.
    assert log_store.purge_counts(NOON, MINUTE) == 8
    assert log_store.purge_counts(NOON, MINUTE) == 0
    counts = {
        hours: log_store.counted(window(low, low + 60 * hours))[0].count
        for low, hours in (
            (-2 * day, 0.5),
            (-2 * day, 1),
            (-2 * day, 24),
            (-2 * day, 25),
            (-2 * day, 49),
        )
    }
    assert counts == {0.5: 2, 1: 2, 24: 2, 25: 3, 49: 6}
    assert log_store.counted(window(0, 1))[0].count == 2
    # A recount does not bring them back.
    assert log_store.recount() == Recount(6, 0)
    assert log_store.purge_counts(NOON - timedelta(days=1), HOUR) == 3
    assert log_store.counted(LogQuery())[0].count == 6
    assert len(everything(log_store)) == 6
