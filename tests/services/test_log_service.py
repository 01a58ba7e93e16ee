from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.services.log_service import (
    FileUnreadable,
    LogQuery,
    asking_files,
    count_errors,
    errors,
    every,
    get,
    get_error_summary,
    get_failed_logins,
    newest,
    not_found,
    oldest,
    per_hour,
    request_story,
    runner_status,
    search,
    slow_queries,
    tail,
    user_history,
)
from tests.logstore.stores import put, sample, write_lines


def ago(**back: float) -> datetime:
    return datetime.now(UTC) - timedelta(**back)


@pytest.fixture
def store(make_app: Callable[..., Flask], store_url: str) -> Iterator[Any]:
    app = make_app(LOG_STORE_URL=store_url)
    with app.app_context():
        yield app.extensions["log_store"]


def failure(at: datetime, kind: str = "KeyError", **details: Any) -> dict[str, Any]:
    return sample(
        at, level="ERROR", action="error", exception={"type": kind, "message": "m"},
        details={"place": "app/x.py:5 in f", **details},
    )  # fmt: skip


def messages(records: list[dict[str, Any]]) -> list[str]:
    return [one["message"] for one in records]


def test_errors_are_summed_up_by_what_failed_how_and_where(store: Any) -> None:
    last = ago(minutes=1)
    put(
        store,
        failure(ago(hours=2), operation="item_create"),
        failure(last, operation="item_create"),
        failure(ago(hours=3), operation="item_create") | {"route": "/items"},
        failure(ago(minutes=9), "ValueError", job="ship"),
        failure(ago(minutes=8), "ValueError") | {"route": "/x"},
        sample(ago(minutes=2), level="CRITICAL", logger="other"),
        failure(ago(hours=30), operation="too_old"),
        sample(ago(minutes=2), level="WARNING"),
    )
    summary = get_error_summary(hours=24)
    place = "app/x.py:5 in f"
    assert [(e["action"], e["exception_type"], e["place"], e["count"]) for e in summary] == [
        ("item_create", "KeyError", place, 3),
        (None, None, "other", 1),
        ("/x", "ValueError", place, 1),
        ("ship", "ValueError", place, 1),
    ]
    assert abs(summary[0]["last_seen"] - last) < timedelta(milliseconds=2)
    assert get(summary[0]["last_id"])["details"]["operation"] == "item_create"
    assert (count_errors(1), count_errors(48)) == (3, 6)


def test_failed_logins_come_newest_first(store: Any) -> None:
    put(
        store,
        sample(ago(hours=2), action="login_failed", account="a@b.c", message="old"),
        sample(ago(hours=1), action="login_failed", account="a@b.c", message="new"),
        sample(ago(hours=1), action="login", account="a@b.c"),
        sample(ago(hours=25), action="login_failed"),
    )
    assert messages(get_failed_logins(hours=24)) == ["new", "old"]


def test_a_request_s_story_is_told_from_its_beginning(store: Any) -> None:
    put(store, *(sample(request_id="r1", message=str(index)) for index in range(1200)))
    put(store, sample(request_id="r2"))
    assert messages(request_story("r1")[0]) == [str(index) for index in range(1200)]
    assert request_story("unknown\0") == ([], 0)
    assert request_story("r1", limit=1200)[1] == 0
    records, left_out = request_story("r1", limit=5)
    assert (messages(records), left_out) == (["0", "1", "1197", "1198", "1199"], 1195)


def test_a_user_s_history_is_found_by_id_and_by_account(store: Any) -> None:
    put(
        store,
        sample(user_id="7", account="a@b.c", message="did"),
        sample(account="a@b.c", action="login_failed", message="failed"),
        sample(user_id="8", account="d@e.f"),
        sample(ago(hours=5), user_id="7", message="old"),
    )
    assert messages(user_history(user_id="7").records) == ["did", "old"]
    assert messages(user_history(user_id="7", hours=1).records) == ["did"]
    assert messages(user_history(account="a@b.c").records) == ["failed", "did"]


def test_paths_that_were_not_found_are_counted(store: Any) -> None:
    put(
        store,
        *(sample(action="request", status=404, path="/a") for _ in range(2)),
        sample(action="request", status=404, path="/b"),
        sample(action="request", status=200, path="/c"),
        sample(ago(hours=30), action="request", status=404, path="/b"),
    )
    assert not_found(hours=24) == [("/a", 2), ("/b", 1)]


def test_each_hour_has_its_count_also_those_without_any(store: Any) -> None:
    this_hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    put(
        store,
        sample(this_hour, level="ERROR"),
        sample(this_hour - timedelta(hours=2), level="ERROR"),
        sample(this_hour - timedelta(hours=2), level="CRITICAL"),
        sample(this_hour - timedelta(hours=2)),
    )
    hours = [this_hour - timedelta(hours=back) for back in (2, 1, 0)]
    assert per_hour(3)[:3] == list(zip(hours, (2, 0, 1), strict=True))
    assert [count for _, count in per_hour(3, levels=())] == [3, 0, 1]


def test_errors_and_slow_queries_of_the_last_hours_are_listed(store: Any) -> None:
    put(
        store,
        failure(ago(minutes=5)) | {"message": "error"},
        sample(ago(minutes=5), level="WARNING", action="slow_query", message="slow"),
        sample(ago(hours=2), level="CRITICAL", message="old"),
    )
    assert messages(errors(hours=1)) == ["error"]
    assert messages(slow_queries(hours=1)) == ["slow"]


def test_search_and_tail_ask_the_store(store: Any) -> None:
    put(store, *(sample(message=str(index)) for index in range(3)))
    page = search(LogQuery(), limit=2)
    assert messages(page.records) == ["2", "1"]
    assert messages(search(LogQuery(), page.next).records) == ["0"]
    assert messages(search(LogQuery(texts=("1",))).records) == ["1"]
    found, cursor = tail(LogQuery())
    assert messages(found) == ["0", "1", "2"]
    assert tail(LogQuery(), cursor)[0] == []


def test_without_a_runner_there_is_no_status(store: Any) -> None:
    assert runner_status() is None


def test_every_record_comes_one_by_one_and_newest_goes_on_to_its_limit(store: Any) -> None:
    put(store, *(sample(ago(minutes=5), message="hay") for _ in range(1200)))
    store._deadline = 0
    told: list[datetime] = []
    query = LogQuery(texts=("hay",))
    assert len(list(every(query, told.append))) == 1200
    assert len(newest(query, 1100, told.append)) == 1100
    assert told


def test_the_oldest_record_is_that_of_any_class(store: Any) -> None:
    assert oldest() is None
    first = ago(days=3).replace(microsecond=0)
    put(store, sample(), sample(first, level="ERROR"), sample(ago(days=1), action="login"))
    assert oldest() == first


def test_questions_go_to_files_within_a_block(store: Any, tmp_path: Path) -> None:
    put(store, sample(message="stored"))
    now = ago(minutes=0)
    write_lines(tmp_path / "a.log", sample(ago(minutes=1), message="in a file"), failure(now))
    told: list[int] = []
    with asking_files([str(tmp_path / "a.log")], told.append):
        assert messages(search(LogQuery()).records) == ["sample", "in a file"]
        assert messages(list(every(LogQuery()))) == ["in a file", "sample"]
        assert per_hour(2)[-1][1] + per_hour(2)[-2][1] == 1
        assert get_error_summary()[0]["place"] == "app/x.py:5 in f"
    assert told[-1] == (tmp_path / "a.log").stat().st_size
    assert messages(search(LogQuery()).records) == ["stored"]
    with asking_files(["nowhere"]), pytest.raises(FileUnreadable, match="nowhere: No such"):
        search(LogQuery())
