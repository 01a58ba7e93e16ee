from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from app.blueprints.admin.blueprint import bp
from app.extensions import db
from app.scheduler.status import RunnerStatus
from tests.blueprints.admin.pages import page
from tests.helpers import Account, log_lines, login
from tests.log_records import made, put

RECORD = "/admin/logs/01a20b42-a266-73ca-8b13-819a6958b192"
ADDRESSES = [
    "/admin", "/admin/logs", RECORD, "/admin/requests", "/admin/requests/x", "/admin/errors",
    "/admin/errors/f", "/admin/security",
]  # fmt: skip


def test_the_pages_are_a_blueprint_of_their_own() -> None:
    assert bp.url_prefix == "/admin"


@pytest.mark.parametrize("address", ADDRESSES)
def test_strangers_are_sent_to_log_in(client: FlaskClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 302
    assert urlsplit(answer.location).path == "/auth/login"


@pytest.mark.parametrize("address", ADDRESSES)
def test_ordinary_users_are_refused(client: FlaskClient, user: Account, address: str) -> None:
    login(client, user)
    assert client.get(address).status_code == 403


def test_each_view_is_an_event_with_its_filters_and_without_the_text(
    app: Flask, as_admin: FlaskClient, admin: Account
) -> None:
    stored = put(app, made())
    as_admin.get("/admin/logs?q=-level:error+hunter2secret+user:7&range=1h")
    as_admin.get(f"/admin/logs/{stored[0]['id']}")
    as_admin.get("/admin/requests/r-1")
    as_admin.get("/admin/logs?q=level:NONE")
    views = log_lines(app, "logs_viewed")
    assert [view["details"] for view in views] == [
        {"page": "logs", "filters": {"keys": "-level user", "text_length": "13", "range": "1h"}},
        {"page": "record", "record_id": stored[0]["id"]},
        {"page": "request", "viewed_request_id": "r-1"},
    ]
    assert {view["user_id"] for view in views} == {str(admin.id)}


NOW = datetime.now(UTC)
AT_WORK = RunnerStatus(
    pid=1, started_at=NOW, seen_at=datetime.max.replace(tzinfo=UTC), lag_seconds=0.2
)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (None, "flask --app wsgi scheduler run"),
        (replace(AT_WORK, seen_at=NOW - timedelta(minutes=5), unshipped_bytes=20_480), "20 KB"),
        (replace(AT_WORK, lag_seconds=42.0), "42 seconds behind"),
        (replace(AT_WORK, store_error="disk I/O error"), "disk I/O error"),
        (replace(AT_WORK, dropped=3), "3 records were lost"),
    ],
)
@pytest.mark.parametrize("address", ["/admin/logs", "/admin/requests/r-1"])
def test_a_page_says_why_records_may_be_missing(
    app: Flask, as_admin: FlaskClient, status: RunnerStatus | None, said: str, address: str
) -> None:
    put(app, made(request_id="r-1"))
    app.extensions["runner_status"] = lambda: status
    notice = page(as_admin, address).one("div", class_="runner-notice")
    assert said in notice.text


def test_a_runner_at_work_needs_no_notice(app: Flask, as_admin: FlaskClient) -> None:
    app.extensions["runner_status"] = lambda: AT_WORK
    assert not page(as_admin, "/admin/logs").every("div", class_="runner-notice")


def test_without_a_scheduler_the_page_still_answers(app: Flask, as_admin: FlaskClient) -> None:
    app.extensions.pop("runner_status", None)
    assert page(as_admin, "/admin/logs").one("div", class_="runner-notice")


@pytest.mark.parametrize(
    "address",
    ["/admin/logs", RECORD, "/admin/requests/r-1", "/admin/errors/f", "/admin/security"],
)
def test_a_store_that_does_not_answer_is_a_503_that_says_what_to_do(
    app: Flask, as_admin: FlaskClient, address: str
) -> None:
    with app.app_context(), db.engines["logs"].begin() as connection:
        connection.execute(text("DROP TABLE logs"))
    found = page(as_admin, address, 503)
    assert "flask --app wsgi db upgrade" in [code.text for code in found.every("code")]
    assert len(log_lines(app, "error")) == 1
