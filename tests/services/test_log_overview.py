from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from app.services.log_overview import WINDOWS, Figure, overview
from tests.logstore.stores import put, sample

# Two minutes into a quarter of an hour.
NOW = datetime(2026, 11, 23, 12, 2, 30, tzinfo=UTC)
SAMPLE = {"cpu_percent": 20, "rss_bytes": 104_857_600, "pool": {"in_use": 1, "size": 5},
          "disk_free": {"logs": 0.5, "uploads": 0.15}}  # fmt: skip


@pytest.fixture
def store(make_app: Callable[..., Flask], store_url: str) -> Iterator[Any]:
    app = make_app(LOG_STORE_URL=store_url)
    with app.app_context():
        yield app.extensions["log_store"]


def request(minutes: float, duration_ms: float = 100.0, **fields: Any) -> dict[str, Any]:
    return at(minutes, action="request", route="/a", duration_ms=duration_ms,
              **{"status": 200, "db_ms": 5.0, **fields})  # fmt: skip


def at(minutes: float, **fields: Any) -> dict[str, Any]:
    """Return a record of so many minutes ago."""
    return sample(NOW - timedelta(minutes=minutes), **fields)


def by_name(window: str) -> dict[str, Figure]:
    return {one.name: one for one in overview(window, NOW).figures}


def test_a_window_shows_each_figure_now_its_course_and_since_when_it_is_too_much(
    store: Any,
) -> None:
    put(
        store,
        *(request(minutes) for minutes in (50, 40, 30)),
        # Slow for a quarter of an hour, with a gap in it in which nobody came.
        *(request(minutes, 4000.0, status=503) for minutes in (14, 9, 8, 1)),
        *(at(minutes, action="login_failed") for minutes in range(5, 60, 5)),
        at(3, action="email_sent"),
        at(1, action="sample", host="h", pid=1, details=SAMPLE),
        at(40, action="sample", host="h", pid=2, details={**SAMPLE, "cpu_percent": 99}),
    )
    found = by_name("1h")
    now = {name: one.value for name, one in found.items()}
    assert now["request_rate"] == pytest.approx(1 / 5.5)
    assert now["response_time"] == pytest.approx(4000, rel=0.05)
    assert found["response_time"].also["p50"] == pytest.approx(4000, rel=0.05)
    assert now["query_time"] == pytest.approx(5, rel=0.05)
    assert now["error_rate"] == 100
    # Of samples the newest of what is alive, and to the digit.
    assert (now["cpu"], now["memory"], now["connection_pool"]) == (20, 100, 20)
    assert (now["disk_free"], found["disk_free"].over, found["disk_free"].lowest) == (
        15,
        True,
        True,
    )
    assert now["failed_logins"] == 11
    assert now["email_failures"] == 0
    over = {name for name, one in found.items() if one.over}
    assert over == {"response_time", "error_rate", "disk_free", "failed_logins"}
    assert found["error_rate"].since == NOW.replace(minute=48, hour=11, second=0)
    assert found["cpu"].since is None
    slow = [start for start, value in found["response_time"].points if (value or 0) > 2000]
    assert [start.minute for start in slow] == [48, 52, 54, 0]
    cpu = [value for _, value in found["cpu"].points if value is not None]
    assert cpu == [pytest.approx(99, rel=0.05), pytest.approx(20, rel=0.05)]
    # Few events make no rate: each point is of the hour before it.
    assert found["failed_logins"].points[-1][1] == pytest.approx(11, rel=0.06)


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_every_window_counts_all_that_happened_in_it(store: Any, window: Any) -> None:
    minutes = window.seconds / 60
    put(store, *(request(minutes * part) for part in (0.0, 0.001, 0.4, 0.99, 1.1)))
    points = by_name(window.name)["request_rate"].points
    assert 25 <= len(points) <= 31
    assert points[0][0] <= NOW - timedelta(seconds=window.seconds) < points[1][0]
    ends = [start for start, _ in points[1:]] + [NOW]
    counted = sum(
        (value or 0) * (end - start) / timedelta(minutes=1)
        for (start, value), end in zip(points, ends, strict=True)
    )
    assert counted == pytest.approx(4)


def test_what_was_never_recorded_is_empty_and_not_wrong(store: Any) -> None:
    found = overview("24h", NOW)
    assert found.empty
    assert not [one.name for one in found.figures if one.over]
    put(store, request(5))
    assert not overview("24h", NOW).empty
