import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.blueprints.health import bp
from app.observability import health_checks
from app.observability.health_checks import Result
from tests.helpers import log_lines


def replace_check(app: Flask, name: str, check: Callable[[], Result]) -> None:
    app.extensions["health_checks"]._checks[name] = check


def test_a_fresh_app_is_healthy_in_every_part(client: FlaskClient) -> None:
    answer = client.get("/health")
    body = answer.get_json()
    assert answer.status_code == 200, body
    assert body["status"] == "healthy"
    assert datetime.fromisoformat(body["timestamp"]).utcoffset() == timedelta(0)
    assert {name: check["status"] for name, check in body["checks"].items()} == {
        "database": "healthy", "uploads": "healthy",
        "disk_space": "healthy", "log_pipeline": "healthy",
    }  # fmt: skip
    for check in body["checks"].values():
        assert set(check) == {"status", "detail", "duration_ms"}
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.settings(DISK_WARNING_PERCENT=101)
def test_little_disk_is_a_warning_that_takes_nothing_out_of_service(client: FlaskClient) -> None:
    answer = client.get("/health")
    assert answer.status_code == 503
    assert answer.get_json()["status"] == "warning"
    assert client.get("/health/ready").status_code == 200
    assert client.get("/health/live").status_code == 200


def test_a_dead_runner_never_fails_readiness(app: Flask, client: FlaskClient) -> None:
    replace_check(app, "log_pipeline", lambda: Result("warning", "Silent."))
    assert client.get("/health").status_code == 503
    assert client.get("/health/ready").status_code == 200


def test_a_database_that_fails_fails_health_and_readiness_only(
    app: Flask, client: FlaskClient
) -> None:
    def broken() -> Result:
        raise OSError("postgresql://app:hunter22@db.internal/app")

    replace_check(app, "database", broken)
    for path in ("/health", "/health/ready"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert answer.get_json()["status"] == "unhealthy"
        assert answer.get_json()["checks"]["database"]["detail"] == "Failed with OSError."
        assert b"hunter22" not in answer.data
    assert client.get("/health/live").status_code == 200


def test_a_database_that_hangs_hangs_no_answer(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    def hang(_engine: object) -> Result:
        release.wait(30)
        return Result("healthy", "")

    monkeypatch.setattr(health_checks, "check_database", hang)
    try:
        started = time.monotonic()
        assert client.get("/health").status_code == 503
        assert client.get("/health/ready").status_code == 503
        assert client.get("/health/live").status_code == 200
        assert time.monotonic() - started < 5
    finally:
        release.set()


def test_live_and_ready_say_what_they_depend_on(client: FlaskClient) -> None:
    assert set(client.get("/health/live").get_json()) == {"status", "timestamp"}
    assert set(client.get("/health/ready").get_json()["checks"]) == {"database"}


def test_the_answer_shows_no_place_of_this_machine(
    app: Flask, client: FlaskClient, tmp_path: Path
) -> None:
    body = client.get("/health").get_data(as_text=True)
    assert str(tmp_path) not in body
    assert "sqlite" not in body


def test_answers_that_succeed_are_not_logged_and_failures_are(
    app: Flask, client: FlaskClient
) -> None:
    for path in ("/health", "/health/live", "/health/ready"):
        client.get(path)
    assert log_lines(app, "request") == []
    replace_check(app, "disk_space", lambda: Result("warning", "Little."))
    client.get("/health")
    (record,) = log_lines(app, "request")
    assert (record["path"], record["status"]) == ("/health", 503)


def test_the_runners_own_status_is_read_when_asked(app: Flask, client: FlaskClient) -> None:
    class Runner:
        seen_at = datetime.now(UTC)
        lag_seconds = 12.34
        store_error = None
        refused = torn = 0

    app.extensions["runner_status"] = Runner
    told = client.get("/health").get_json()["checks"]["log_pipeline"]["detail"]
    assert told.startswith("12.3 s behind.")


def test_the_pages_stay_where_monitors_look() -> None:
    assert (bp.name, bp.url_prefix) == ("health", "/health")
