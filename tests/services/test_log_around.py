from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from app.services import log_around
from app.services.log_around import SIZE, around, choices
from app.services.log_service import LogQuery, Record, get, search
from tests.logstore.stores import put, sample


@pytest.fixture
def store(make_app: Callable[..., Flask], store_url: str) -> Iterator[Any]:
    app = make_app(LOG_STORE_URL=store_url)
    with app.app_context():
        yield app.extensions["log_store"]


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_around, "_SECONDS", 60)


def messages(records: list[Record]) -> list[str]:
    return [record["message"] for record in records]


def test_the_nearest_before_and_after_are_found_newest_first(store: Any) -> None:
    now = datetime.now(UTC)
    hosts = {"web-1": (7, 8), "web-2": (7, 7)}
    records = [
        sample(now + timedelta(seconds=second), message=f"{second}", host=host,
               pid=hosts[host][second % 4 // 2], request_id=f"r-{second % 4}")
        for second in range(-300, 301)
        for host in [f"web-{second % 2 + 1}"]
    ]  # fmt: skip
    far = sample(now - timedelta(hours=2), message="far", host="web-1", pid=7, request_id="r-0")
    put(store, far, *records, sample(message="figures", action="sample", host="web-1", pid=7))
    middle = get(records[300]["id"])
    assert middle is not None
    assert choices(middle) == ["all", "host", "process", "request"]
    for of, step in (("all", 1), ("host", 2), ("process", 4), ("request", 4)):
        found = around(middle, of)
        assert messages(found.after) == [str(step * n) for n in range(SIZE, 0, -1)], of
        assert messages(found.before) == [str(-step * n) for n in range(1, SIZE + 1)], of


def test_neighbours_of_a_host_are_near_in_time_and_those_of_a_request_are_all(store: Any) -> None:
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    one = {"host": "web-1", "pid": 7, "request_id": "r-1"}
    put(store, sample(now - hour, message="a", **one), sample(now, message="b", **one),
        sample(now + hour, message="c", **one))  # fmt: skip
    middle = search(LogQuery()).records[1]
    assert (around(middle, "host").after, around(middle, "process").before) == ([], [])
    found = around(middle, "request")
    assert (messages(found.after), messages(found.before)) == (["c"], ["a"])


def test_what_is_rare_is_looked_for_only_for_a_moment_and_how_far_is_said(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    seconds = [second for second in range(-510, 511) if second]
    far = [sample(now + timedelta(seconds=second), message=f"{second}", host="web-1", pid=7)
           for second in (-590, 0, 590)]  # fmt: skip
    put(store, *far, *(sample(now + timedelta(seconds=second), host="web-1", pid=8)
                       for second in seconds))  # fmt: skip
    middle = get(far[1]["id"])
    assert middle is not None
    found = around(middle, "process")
    assert (messages(found.after), messages(found.before)) == (["590"], ["-590"])
    assert (found.ahead_to, found.back_to) == (None, None)

    monkeypatch.setattr(log_around, "_SECONDS", 0)
    found = around(middle, "process")
    assert (found.after, found.before) == ([], [])
    assert found.back_to is not None
    assert found.ahead_to is not None
    assert now - timedelta(seconds=520) < found.back_to < now < found.ahead_to
    assert found.ahead_to < now + timedelta(seconds=590)


def test_a_record_without_a_host_or_request_has_no_neighbours_of_them(store: Any) -> None:
    (record_id,) = put(store, sample(host=None, pid=None, request_id=None))
    record = get(record_id)
    assert record is not None
    assert choices(record) == ["all"]
