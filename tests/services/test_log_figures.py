from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from app.services.log_figures import (
    busy_routes,
    error_rate,
    histogram,
    latency,
    recount,
)
from app.services.log_service import LogQuery
from tests.logstore.stores import put, sample


def ago(**back: float) -> datetime:
    return datetime.now(UTC) - timedelta(**back)


@pytest.fixture
def store(make_app: Callable[..., Flask], store_url: str) -> Iterator[Any]:
    app = make_app(LOG_STORE_URL=store_url)
    with app.app_context():
        yield app.extensions["log_store"]


def test_requests_are_summed_up_as_rate_of_errors_latency_and_routes(store: Any) -> None:
    assert (error_rate(), latency().count, busy_routes()) == (None, 0, [])
    put(
        store,
        *(sample(ago(minutes=9), action="request", status=200, route="/a", duration_ms=10.0)
          for _ in range(3)),
        sample(ago(minutes=8), action="request", status=503, route="/b", duration_ms=100.0),
        sample(ago(minutes=8), level="ERROR", action="error"),
        sample(ago(minutes=90), action="request", status=500, route="/c", duration_ms=1.0),
    )  # fmt: skip
    assert error_rate(hours=1) == 0.25
    assert latency(hours=1).percentiles[0.5] == pytest.approx(10, rel=0.05)
    routes = busy_routes(hours=1)
    assert [(one.values, one.count) for one in routes] == [(("/a",), 3), (("/b",), 1)]
    assert routes[1].percentiles[0.95] == pytest.approx(100, rel=0.05)
    assert recount(check=True).wrong == 0


def test_any_query_has_a_chart_whose_steps_suit_its_time(store: Any) -> None:
    put(store, sample(ago(minutes=50), user_id="7"), sample(ago(minutes=9), level="ERROR"))
    day = histogram(LogQuery())
    assert (len(day.points) in {96, 97}, sum(one.count for one in day.points)) == (True, 2)
    hour = histogram(LogQuery(since=ago(hours=1)), "level")
    assert len(hour.points) in {60, 61}
    assert [one.by for one in hour.points if one.count] == [{"INFO": 1}, {"ERROR": 1}]
    mine = histogram(LogQuery(since=ago(hours=1), user_id="7"), step=600)
    assert sum(one.count for one in mine.points) == 1
    assert len(mine.points) in {6, 7}
