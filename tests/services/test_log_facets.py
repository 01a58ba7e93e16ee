from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from app.services import log_facets
from app.services.log_facets import counted, is_counted, looked_at
from app.services.log_service import WITHOUT_SAMPLES, LogQuery
from tests.log_records import made, put

QUERY = LogQuery(without=WITHOUT_SAMPLES)


@pytest.fixture(autouse=True)
def records(app: Flask) -> Any:
    put(
        app,
        *(made(action="request", status=200, route="/a", host="web-1") for _ in range(3)),
        made(action="request", status=503, route="/b", level="ERROR", account="a@b.c", user_id="7"),
        made(action="sample"),
        made(ago=timedelta(days=3), user_id="8"),
    )
    with app.app_context():
        yield


def test_counts_tell_levels_actions_routes_and_status_classes() -> None:
    figures = counted(QUERY)
    assert figures.facets == {
        "level": [("INFO", 3), ("ERROR", 1)], "action": [("request", 4)],
        "status_class": [("2", 3), ("5", 1)], "route": [("/a", 3), ("/b", 1)],
    }  # fmt: skip
    assert sum(point.count for point in figures.points) == 4
    assert figures.looked_back_to is None


def test_a_look_at_the_records_tells_users_and_hosts_and_how_far_it_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    week = LogQuery(without=WITHOUT_SAMPLES, since=datetime.now(UTC) - timedelta(days=7))
    figures = looked_at(week)
    assert figures.facets == {"user": [("a@b.c", 1), ("8", 1)], "host": [("web-1", 3)]}
    assert sum(point.count for point in figures.points) == 5
    assert figures.looked_back_to is None
    monkeypatch.setattr(log_facets, "_SECONDS", 0)
    monkeypatch.setattr(log_facets, "_SLICE", 2)
    figures = looked_at(week)
    assert sum(point.count for point in figures.points) == 2
    assert figures.looked_back_to is not None


@pytest.mark.parametrize(
    ("window", "step"),
    [(timedelta(minutes=1), 60), (timedelta(hours=1), 60), (timedelta(hours=6), 600),
     (timedelta(days=1), 3600), (timedelta(days=7), 21_600), (timedelta(days=30), 86_400),
     (timedelta(days=3650), 61 * 86_400)],
)  # fmt: skip
def test_a_chart_has_whole_steps_that_hold_all_of_its_time(window: timedelta, step: int) -> None:
    until = datetime(2026, 11, 23, 12, 7, 30, tzinfo=UTC)
    figures = counted(LogQuery(since=until - window, until=until))
    since, end = figures.ends
    assert figures.step == step
    assert since <= until - window
    assert until < end
    assert int(since.timestamp()) % step == 0
    assert len(figures.points) <= 62


def test_a_text_is_more_than_counts_know() -> None:
    assert is_counted(QUERY)
    assert not is_counted(LogQuery(texts=("x",)))
