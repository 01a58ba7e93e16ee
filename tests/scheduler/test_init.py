from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask

from app.scheduler import RunnerStatus, stand_down
from app.scheduler.status import write_status


@pytest.fixture
def enabled(make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    app = make_app(SCHEDULER_ENABLED=True)
    monkeypatch.setattr("app.scheduler.election.Election.run", lambda _self: None)
    yield app
    stand_down(app)


def test_the_status_of_the_runner_can_be_read_through_the_app(app: Flask) -> None:
    read = app.extensions["runner_status"]
    assert read() is None
    now = datetime.now(UTC)
    log_dir = Path(app.config["LOG_DIR"])
    log_dir.mkdir(exist_ok=True)
    write_status(log_dir, RunnerStatus(7, now, now))
    assert read().pid == 7


def test_making_an_app_starts_nothing(enabled: Flask) -> None:
    assert "runner_election" not in enabled.extensions


def test_a_request_that_no_server_brought_starts_nothing(enabled: Flask) -> None:
    enabled.test_client().get("/nothing-here")
    assert "runner_election" not in enabled.extensions


def test_the_first_request_of_a_server_starts_the_election(enabled: Flask) -> None:
    served = {"SERVER_SOFTWARE": "Werkzeug/3"}
    enabled.test_client().get("/nothing-here", environ_overrides=served)
    first = enabled.extensions["runner_election"]
    enabled.test_client().get("/nothing-here", environ_overrides=served)
    assert enabled.extensions["runner_election"] is first


def test_with_the_scheduler_off_a_served_request_starts_nothing(app: Flask) -> None:
    app.test_client().get("/nothing-here", environ_overrides={"SERVER_SOFTWARE": "Werkzeug/3"})
    assert "runner_election" not in app.extensions
