from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask

from app.services.log_standouts import LOOKED_AT, standouts
from tests.logstore.stores import put, sample

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def at(minutes: float, action: str, **fields: Any) -> dict[str, Any]:
    return sample(NOON + timedelta(minutes=minutes), action=action, **fields)


def request(minutes: float, route: str | None, ms: float, **fields: Any) -> dict[str, Any]:
    return at(minutes, "request", **{"route": route, "duration_ms": ms, "status": 200, **fields})


def failed(minutes: float, fingerprint: str | None, **fields: Any) -> dict[str, Any]:
    exception = {"type": "KeyError", "message": f"of {minutes}", "fingerprint": fingerprint}
    return at(minutes, "error", level="ERROR", exception=exception, **fields)


def test_what_stands_out_in_a_window_comes_with_what_leads_to_it(
    make_app: Callable[..., Flask], store_url: str
) -> None:
    app = make_app(LOG_STORE_URL=store_url)
    repeat = {"statement": "SELECT users", "line": "app/x.py:9"}
    with app.app_context():
        put(
            app.extensions["log_store"],
            request(-90, "/before", 9e4),
            *(request(1, "/a", 10.0, user_id="7", account="ann@example.com") for _ in range(3)),
            request(2, "/b", 900.0, status=500, user_id="8"),
            request(3, "/b", 800.0, request_id="r-3",
                    details={"n_plus_one": [{**repeat, "count": 12}, "?", {"count": "many"}]}),
            request(4, None, 1.0, status=404, request_id="r-4",
                    details={"n_plus_one": [{**repeat, "count": 9}]}),
            at(1, "slow_query", level="WARNING", statement="SELECT 1", duration_ms=1500.0,
               request_id="r-1"),
            at(2, "slow_query", level="WARNING", statement="SELECT 1", duration_ms=1100.0,
               request_id="r-2"),
            at(3, "slow_query", level="WARNING", statement="SELECT 2", duration_ms=2000.0),
            failed(1, "aa", details={"place": "app/x.py:1 in f"}),
            failed(2, "bb"),
            failed(3, "aa", details={"place": "app/x.py:1 in f"}),
            failed(4, None),
            *(request(5, route, 9.0, account="root@example.com", details={"n_plus_one": [repeat]})
              for route in ("/admin", "/admin/logs/<record_id>", "/api/logs") for _ in range(150)),
        )  # fmt: skip
        found = standouts(NOON, NOON + timedelta(hours=1))
    assert [(one.route, one.count, one.error_percent) for one in found.routes
            if one.count < 150] == [
        ("/b", 2, 50), ("/a", 3, 0), (None, 1, 0),
    ]  # fmt: skip
    assert [(one.statement, one.count, one.total_ms, one.max_ms, one.request_id)
            for one in found.statements] == [
        ("SELECT 1", 2, 2600, 1500, "r-2"), ("SELECT 2", 1, 2000, 2000, None),
    ]  # fmt: skip
    (repeated,) = found.repeats
    assert (repeated.line, repeated.most, repeated.requests) == ("app/x.py:9", 12, 2)
    assert repeated.request_id == "r-4"
    assert [(one.fingerprint, one.count, one.message, one.place) for one in found.failures] == [
        ("aa", 2, "of 3", "app/x.py:1 in f"), ("bb", 1, "of 2", None),
    ]  # fmt: skip
    assert [one.last_seen[:19] for one in found.failures] == [
        "2026-11-23T12:03:00", "2026-11-23T12:02:00",
    ]  # fmt: skip
    assert [(one.account, one.user_id, one.count, one.errors) for one in found.people] == [
        ("ann@example.com", "7", 3, 0), (None, "8", 1, 1),
    ]  # fmt: skip
    assert found.looked_at == {"slow_query": 3, "error": 4, "request": 6}
    assert max(found.looked_at.values()) < LOOKED_AT
