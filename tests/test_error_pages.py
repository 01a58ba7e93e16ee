import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient
from flask_wtf.csrf import CSRFError
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import MethodNotAllowed, TooManyRequests

from app.error_pages import PROBLEM_JSON, Problem, answer, wants_json
from app.error_texts import ADVICE
from app.extensions import db
from app.services.errors import Conflict, Forbidden, Invalid, NotFound
from tests.helpers import SECRET_KEY, Account, log_lines, login

STATUSES = [400, 401, 403, 404, 405, 413, 415, 422, 429, 500, 503]
CANARY = "canary-5f1d"


def raising(app: Flask, error: Any) -> None:
    """Serve a page at /raise that fails with `error`."""

    def view() -> None:
        if isinstance(error, int):
            abort(error)
        raise error

    app.add_url_rule("/raise", "raise", view, methods=["GET", "POST"])


def shown(page: Any) -> dict[str, str]:
    """Return what an error page says: its status, heading, advice and request ID."""
    body = page.get_data(as_text=True)
    patterns = {
        "status": r'class="error-status">([^<]+)<',
        "title": r"<h1>([^<]+)</h1>",
        "detail": r'class="error-detail">([^<]+)<',
        "request_id": r'<code id="request-id">([^<]+)<',
    }
    found = {name: re.findall(pattern, body) for name, pattern in patterns.items()}
    return {name: unescape(values[0]) for name, values in found.items() if values}


@pytest.mark.parametrize("status", STATUSES)
def test_each_error_is_a_page_that_says_what_to_do_and_shows_its_request_id(
    app: Flask, client: FlaskClient, status: int
) -> None:
    raising(app, status)
    page = client.get("/raise")
    title, advice = ADVICE[status]
    assert page.status_code == status
    assert page.mimetype == "text/html"
    assert shown(page) == {
        "status": str(status),
        "title": title,
        "detail": advice,
        "request_id": page.headers["X-Request-ID"],
    }


@pytest.mark.parametrize("status", STATUSES)
def test_each_error_is_problem_details_for_a_program(
    app: Flask, client: FlaskClient, status: int
) -> None:
    raising(app, status)
    page = client.get("/raise", headers={"Accept": "application/json"})
    assert (page.status_code, page.content_type) == (status, PROBLEM_JSON)
    assert json.loads(page.data) == {
        "type": "about:blank",
        "title": ADVICE[status][0],
        "status": status,
        "detail": ADVICE[status][1],
        "instance": "/raise",
        "request_id": page.headers["X-Request-ID"],
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"path": "/items"}, False),
        ({"path": "/api"}, True),
        ({"path": "/api/items"}, True),
        ({"path": "/apiary"}, False),
        ({"path": "/items", "method": "PUT"}, True),
        ({"path": "/items", "method": "POST"}, False),
        ({"path": "/items", "method": "POST", "json": {}}, True),
        ({"path": "/", "headers": {"Accept": "text/html,application/xml;q=0.9,*/*;q=0.8"}}, False),
        ({"path": "/", "headers": {"Accept": "application/json"}}, True),
        ({"path": "/", "headers": {"Accept": "application/json;q=0.5, text/html"}}, False),
        ({"path": "/", "headers": {"Accept": "*/*"}}, False),
    ],
)
def test_who_gets_json(app: Flask, options: dict[str, Any], expected: bool) -> None:
    with app.test_request_context(**options):
        assert wants_json() is expected


@pytest.mark.parametrize(
    ("error", "status"),
    [(NotFound("Gone."), 404), (Forbidden("No."), 403), (Conflict("Old."), 409)],
)
def test_what_a_service_refuses_is_said_in_its_own_words(
    app: Flask, client: FlaskClient, error: Any, status: int
) -> None:
    raising(app, error)
    page = client.get("/raise")
    assert (page.status_code, shown(page)["detail"]) == (status, error.message)
    assert log_lines(app, "error") == []


def test_fields_at_fault_are_in_both_answers(app: Flask, client: FlaskClient) -> None:
    raising(app, Invalid("Look again.", errors={"<name>": "Too long."}))
    assert client.get("/raise", json={}).json["errors"] == {"<name>": "Too long."}
    assert "<strong>&lt;name&gt;</strong>: Too long." in client.get("/raise").get_data(as_text=True)


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [
        (MethodNotAllowed(["GET", "PUT"]), "Allow", "GET, PUT"),
        (TooManyRequests(retry_after=60), "Retry-After", "60"),
    ],
)
def test_headers_that_belong_to_an_error_stay(
    app: Flask, client: FlaskClient, error: Any, name: str, value: str
) -> None:
    raising(app, error)
    for accept in ("text/html", "application/json"):
        page = client.get("/raise", headers={"Accept": accept})
        assert page.headers[name] == value


@pytest.mark.parametrize("env", ["production", "testing"])
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_an_unforeseen_error_says_nothing_of_the_inside_and_is_one_record(
    make_app: Callable[..., Flask], env: str, accept: str
) -> None:
    app = make_app(APP_ENV=env, PROPAGATE_EXCEPTIONS=False)
    raising(app, RuntimeError(f"{CANARY} in /srv/app/secret.py"))
    page = app.test_client().get("/raise", headers={"Accept": accept})
    assert page.status_code == 500
    for inside in (CANARY, "RuntimeError", "Traceback", "secret.py", SECRET_KEY):
        assert inside not in page.get_data(as_text=True)
    (record,) = log_lines(app, "error")
    assert record["request_id"] == page.headers["X-Request-ID"]
    assert record["exception"]["type"] == "RuntimeError"


@pytest.mark.settings(WTF_CSRF_ENABLED=True)
def test_an_old_form_says_so_and_a_program_is_told_where_the_token_is(client: FlaskClient) -> None:
    page = client.post("/auth/login", data={})
    assert (page.status_code, shown(page)["title"]) == (400, "This form is out of date")
    assert client.post("/auth/login", json={}).status_code == 401


def test_a_signed_in_program_without_a_token_is_told_where_it_is(
    app: Flask, client: FlaskClient, user: Account
) -> None:
    raising(app, CSRFError("The CSRF token is missing."))
    login(client, user)
    page = client.get("/raise", headers={"Accept": "application/json"})
    assert (page.status_code, "/api/csrf-token" in page.json["detail"]) == (400, True)


@pytest.mark.parametrize(
    ("env", "title"),
    [("testing", "The database has no tables yet"), ("production", "Not available right now")],
)
def test_missing_tables_say_what_to_do_but_not_in_production(
    make_app: Callable[..., Flask], database_url: str, env: str, title: str
) -> None:
    app = make_app(APP_ENV=env, DATABASE_URL=database_url)
    with app.app_context():
        db.session.execute(text("DROP TABLE items"))
        db.session.commit()
    page = app.test_client().get("/items")
    assert (page.status_code, shown(page)["title"]) == (503, title)
    assert ("flask db upgrade" in page.get_data(as_text=True)) is (env == "testing")
    assert "items" not in shown(page)["detail"]
    assert len(log_lines(app, "error")) == 1
    problem = app.test_client().get("/api/items")
    assert (problem.status_code, problem.json["title"]) == (503, title)


def test_a_database_that_does_not_answer_is_a_503_that_asks_it_nothing(
    app: Flask, client: FlaskClient, user: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    login(client, user)

    def refuse(*_args: Any, **_options: Any) -> None:
        raise OperationalError("SELECT 1", {}, Exception(f"{CANARY} refused"))

    monkeypatch.setattr(db.session, "execute", refuse)
    monkeypatch.setattr(db.session, "scalars", refuse)
    monkeypatch.setattr(db.session, "scalar", refuse)
    monkeypatch.setattr(db.session, "get", refuse)
    page = client.get("/items")
    assert (page.status_code, page.headers["Retry-After"]) == (503, "10")
    assert shown(page)["request_id"] == page.headers["X-Request-ID"]
    assert CANARY not in page.get_data(as_text=True)


def test_a_wrong_statement_is_an_error_of_ours_and_no_outage(
    make_app: Callable[..., Flask], database_url: str
) -> None:
    app = make_app(DATABASE_URL=database_url, PROPAGATE_EXCEPTIONS=False)

    def view() -> None:
        db.session.execute(text("SELEC 1"))

    app.add_url_rule("/raise", "raise", view)
    page = app.test_client().get("/raise")
    # SQLite has one kind of error for both, so it cannot tell a mistake from an outage.
    assert page.status_code == (503 if "sqlite" in database_url else 500)
    assert len(log_lines(app, "error")) == 1


def test_an_error_in_the_error_page_still_gives_a_page_with_the_id(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.jinja_env.tests, "endpoint", lambda _name: 1 / 0)
    page = client.get("/nowhere")
    assert page.status_code == 404
    found = re.findall(r"<code>([^<]+)</code>", page.get_data(as_text=True))
    assert found == [page.headers["X-Request-ID"]]
    (record,) = log_lines(app, "error")
    assert record["exception"]["type"] == "ZeroDivisionError"


@pytest.mark.settings(TRUSTED_HOSTS="example.com")
def test_a_host_we_do_not_serve_gets_a_plain_refusal_and_is_no_error_of_ours(
    app: Flask, client: FlaskClient
) -> None:
    assert client.get("/items", base_url="http://example.com").status_code == 200
    page = client.get("/items", base_url="http://evil.example")
    assert page.status_code == 400
    assert "evil" not in page.get_data(as_text=True)
    assert client.get("/api/items", base_url="http://evil.example").json["status"] == 400
    assert log_lines(app, "error") == []


def test_a_problem_without_words_takes_those_of_its_status(app: Flask) -> None:
    assert Problem(404).title == ADVICE[404][0]
    assert Problem(418).title == "I'm a teapot"
    with app.test_request_context("/api/x"):
        assert answer(Problem(404, "Gone", "For good.")).json["title"] == "Gone"
