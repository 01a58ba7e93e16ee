from typing import Any

from app.blueprints.admin.story import tell


def record(seconds: float, **fields: Any) -> dict[str, Any]:
    return {"timestamp": f"2026-11-23T10:00:{seconds:09.6f}Z", "level": "INFO", **fields}


def query(offset_ms: float, ms: float, name: str) -> dict[str, Any]:
    return {"statement": name, "offset_ms": offset_ms, "ms": ms, "count": 1, "line": "app/x.py:1"}


def names(records: list[dict[str, Any]]) -> list[str]:
    return [
        step.query["statement"] if step.query else step.record["message"]  # type: ignore[index]
        for step in tell(records).steps
    ]


REQUEST = record(
    1.1, action="request", message="request", status=500, duration_ms=100.0,
    details={"queries": [query(10, 20, "first"), query(60, 5, "second")]},
)  # fmt: skip


def test_statements_stand_between_the_records_by_the_time_they_began() -> None:
    records = [record(1.04, message="between"), record(1.09, message="late"), REQUEST]
    assert names(records) == ["first", "between", "second", "late", "request"]


def test_offsets_and_bars_are_measured_from_the_requests_start() -> None:
    first, second, answer = tell([REQUEST]).steps
    assert [round(step.offset_ms) for step in (first, second, answer)] == [10, 60, 100]
    assert (first.bar_start, first.bar_width) == (10.0, 20.0)
    assert (answer.bar_start, answer.bar_width) == (0.0, 100.0)


def test_a_stretch_without_anything_is_told_where_statements_are_known() -> None:
    slow = record(1.4, action="request", duration_ms=400.0, message="request", details={
        "queries": [query(0, 100, "first"), query(102, 50, "second"), query(300, 90, "third")],
    })  # fmt: skip
    gaps = [step.gap_ms for step in tell([slow]).steps]
    assert gaps == [None, None, 148.0, None]
    assert not any(step.gap_ms for step in tell([record(1, message="m"), record(9)]).steps)


def test_records_of_one_instant_keep_their_order() -> None:
    records = [record(1, message=str(number)) for number in range(5)]
    assert names(records) == ["0", "1", "2", "3", "4"]


def test_a_story_names_its_user_its_errors_and_each_request_under_its_id() -> None:
    failure = record(1.05, message="KeyError", exception={"type": "KeyError"})
    story = tell(
        [failure, record(1.06, message="m", user_id="7", account="a@b.c"), REQUEST, REQUEST]
    )
    assert (story.user_id, story.account) == ("7", "a@b.c")
    assert story.errors == [failure]
    assert story.requests == [REQUEST, REQUEST]
    assert len(story.sql) == 4


def test_a_story_of_nothing_is_empty() -> None:
    story = tell([])
    assert (story.requests, story.steps, story.errors, story.account) == ([], [], [], None)


def test_values_that_make_no_sense_do_not_stop_the_page() -> None:
    queries = [{"statement": "x", "ms": "fast", "offset_ms": -1e300}]
    odd = {
        "action": "request", "message": "request", "timestamp": "soon",
        "duration_ms": float("nan"), "details": {"queries": queries},
    }  # fmt: skip
    steps = tell([odd, record(1, message="m", duration_ms=1e300)]).steps
    assert len(steps) == 3
    assert all(0 <= step.bar_start <= 100 and step.bar_width >= 0 for step in steps)
