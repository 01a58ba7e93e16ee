"""API tokens on requests: what they open, what not, and that they are nowhere to be read."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from sqlalchemy import text

from app.api_tokens import init_app
from app.extensions import db
from app.logstore.shipper import Shipper
from app.models.api_token import ApiToken
from app.models.item import Item
from app.models.types import utc_now
from app.models.user import ADMIN, USER
from app.services.api_token_service import revoke_token
from app.services.throttle import TOKEN_PER_ADDRESS
from tests.helpers import Account, bearer_of, log_lines

pytestmark = pytest.mark.settings(WTF_CSRF_ENABLED=True)
LAMP = {"name": "Lamp", "quantity": 3}
EMAIL = "ann@example.com"
Change = Callable[[ApiToken], Any]


@pytest.fixture
def plain(app: Flask) -> str:
    """A token of an ordinary user, whose number is 1."""
    return token_of(app, EMAIL)


def token_of(app: Flask, email: str, role: str = USER) -> str:
    return bearer_of(app, email, role)["Authorization"].removeprefix("Bearer ")


def bearer(plain: str, scheme: str = "Bearer") -> dict[str, str]:
    return {"Authorization": f"{scheme} {plain}"}


def change(app: Flask, act: Change) -> None:
    with app.app_context():
        act(db.session.query(ApiToken).order_by(ApiToken.id).first())  # type: ignore[arg-type]
        db.session.commit()


def sign_in(client: FlaskClient, account: Account) -> None:
    with client.session_transaction() as session:
        session["_user_id"], session["account"] = f"{account.id}:1", account.email


def test_a_program_changes_items_in_its_owners_name_without_csrf_or_cookies(
    client: FlaskClient, app: Flask, plain: str
) -> None:
    made = client.post("/api/items", json=LAMP, headers=bearer(plain, "bearer"))
    assert (made.status_code, made.json["owner_id"]) == (201, 1)
    answers = [
        made,
        client.put("/api/items/1", json={"quantity": 4, "version": 1}, headers=bearer(plain)),
        client.get("/api/items/1", headers=bearer(plain)),
        client.delete("/api/items/1", headers=bearer(plain)),
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200, 204]
    assert not any("Set-Cookie" in answer.headers for answer in answers)
    assert answers[2].headers["Cache-Control"] == "no-store"
    records = [one for one in log_lines(app) if one["action"].startswith(("item", "request"))]
    assert len(records) == 7
    for record in records:
        assert (record["user_id"], record["account"]) == ("1", EMAIL)
        assert record["details"]["via"] == "token 1"
        assert "user_unverified" not in record["details"]


def test_the_log_opens_to_administrators_tokens_and_a_role_acts_at_once(
    client: FlaskClient, app: Flask, plain: str
) -> None:
    assert client.get("/api/logs", headers=bearer(plain)).status_code == 403
    for role, status in ((ADMIN, 200), (USER, 403)):
        change(app, lambda token, role=role: setattr(token.user, "role", role))  # type: ignore[misc]
        assert client.get("/api/logs", headers=bearer(plain)).status_code == status
    assert [one["account"] for one in log_lines(app, "logs_viewed")] == [EMAIL]


ENDED: dict[str, Change] = {
    "revoked": lambda token: revoke_token(token.id),
    "expired": lambda token: setattr(token, "expires_at", utc_now() - timedelta(seconds=1)),
    "disabled": lambda token: setattr(token.user, "active", False),
}


@pytest.mark.parametrize("reason", ENDED)
def test_a_token_that_ended_is_a_401_problem_everywhere_and_changes_nothing(
    client: FlaskClient, app: Flask, plain: str, reason: str
) -> None:
    assert client.get("/api/items", headers=bearer(plain)).status_code == 200
    change(app, ENDED[reason])
    refused(client, bearer(plain))
    with app.app_context():
        assert db.session.query(Item).count() == 0
    record = log_lines(app, "request")[-1]
    assert "user_id" not in record


def refused(client: FlaskClient, headers: dict[str, str]) -> None:
    for method, path in (
        ("GET", "/api/items"), ("GET", "/api/logs"), ("POST", "/api/items"), ("GET", "/api/none"),
    ):  # fmt: skip
        answer = client.open(path, method=method, headers=headers, json=LAMP)
        assert answer.status_code == 401, (method, path)
        assert answer.content_type == "application/problem+json"
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "value",
    ["Bearer", "Bearer ", "Bearer gh_", "Bearer x y", "Bearer " + "x" * 5000, "Bearer \xff"],
)
def test_what_is_no_token_is_refused_also_where_everybody_may_read(
    client: FlaskClient, app: Flask, user: Account, value: str
) -> None:
    sign_in(client, user)
    refused(client, {"Authorization": value})
    # A session that came along asked for nothing, and is not said to have.
    assert "account" not in log_lines(app, "request")[-1]


def test_a_token_is_taken_from_its_header_and_scheme_only(client: FlaskClient, app: Flask) -> None:
    plain = token_of(app, EMAIL, ADMIN)
    client.set_cookie("token", plain)
    for query in ("", "?token={}", "?access_token={}", "?api_key={}"):
        for headers in ({}, bearer(plain, "Token"), bearer(plain, "Basic"), {"X-API-Key": plain}):
            answer = client.get("/api/logs" + query.format(plain), headers=headers)
            assert answer.status_code == 401, (query, headers)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert client.post("/api/items", json={**LAMP, "access_token": plain}).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/account"), ("GET", "/admin/logs"), ("POST", "/account/tokens"),
     ("PUT", "/items/1"), ("DELETE", "/items/1"), ("POST", "/items/new")],
)  # fmt: skip
def test_a_token_opens_no_page(client: FlaskClient, app: Flask, method: str, path: str) -> None:
    plain = token_of(app, EMAIL, ADMIN)
    answer = client.open(path, method=method, headers=bearer(plain), json=LAMP)
    assert answer.status_code in {302, 400, 401}, answer.get_data(as_text=True)


def test_a_token_wins_over_a_session_that_comes_along(
    client: FlaskClient, app: Flask, admin: Account
) -> None:
    plain = token_of(app, EMAIL)
    sign_in(client, admin)
    assert client.get("/api/logs").status_code == 200
    assert client.get("/api/logs", headers=bearer(plain)).status_code == 403
    assert log_lines(app, "request")[-1]["account"] == EMAIL


def test_without_a_token_a_session_still_needs_its_csrf_token(
    client: FlaskClient, app: Flask, user: Account, plain: str
) -> None:
    sign_in(client, user)
    for headers in ({}, bearer(plain, "Basic"), bearer(plain, "Token")):
        answer = client.post("/api/items", json=LAMP, headers=headers)
        assert (answer.status_code, "CSRF" in answer.json["title"]) == (400, True)
    # And a token on one request changes nothing for the next.
    assert client.post("/api/items", json=LAMP, headers=bearer(plain)).status_code == 201
    assert client.post("/api/items", json=LAMP).status_code == 400


@pytest.mark.settings(RATELIMIT_ENABLED=True)
def test_bad_tokens_are_limited_as_bad_logins_are(client: FlaskClient, plain: str) -> None:
    statuses = {
        client.get("/api/items", headers=bearer("guess")).status_code
        for _ in range(TOKEN_PER_ADDRESS.rate.amount)
    }
    last = client.get("/api/items", headers=bearer("guess"))
    assert (statuses, last.status_code) == ({401}, 429)
    assert int(last.headers["Retry-After"]) > 0
    assert client.get("/api/items", headers=bearer(plain)).status_code == 200


@pytest.mark.settings(LOG_LEVEL="DEBUG", SLOW_QUERY_MS=0)
def test_a_token_is_nowhere_to_be_read_after_use_and_after_an_exception(
    client: FlaskClient, app: Flask, plain: str
) -> None:
    def fail() -> None:
        shown = request.headers["Authorization"]
        db.session.execute(text("SELECT :shown"), {"shown": shown.split()[1]})
        app.logger.warning("seen %s", shown, extra={"list": [plain], "headers": request.headers})
        raise ValueError(f"cannot use {plain} of {shown}")

    app.add_url_rule("/api/items/fail", view_func=fail)
    client.get("/api/items", headers=bearer(plain))
    assert client.get("/api/items/fail", headers=bearer(plain)).status_code == 500
    # Also where nothing says that it is a secret, and no request is at hand.
    app.logger.error("found gh_ in a file: %s", plain)
    change(app, lambda token: revoke_token(token.id))
    client.get(f"/api/items?x={plain}", headers=bearer(plain))

    written = {path.name: path.read_text() for path in Path(app.config["LOG_DIR"]).glob("*.log")}
    assert set(written) == {"app.log", "error.log"}
    assert "cannot use [redacted] of" in written["error.log"]
    with app.app_context():
        shipper = Shipper(app.extensions["log_store"], Path(app.config["LOG_DIR"]))
        assert shipper.ship_once() > 5
        tables = [str(db.session.execute(text(f"SELECT * FROM {name}")).all())
                  for name in ("api_tokens", "outbox")]  # fmt: skip
        with db.engines["logs"].connect() as connection:
            tables.append(str(connection.execute(text("SELECT * FROM logs")).all()))
    assert "cannot use [redacted] of" in tables[2]
    for content in (*written.values(), *tables):
        assert plain not in content
        assert not re.search(r"gh_[\w-]{20}", content)


def test_without_its_line_in_the_factory_no_token_opens_anything(
    app: Flask, client: FlaskClient, plain: str
) -> None:
    """It is one line: this test says that the line is what all others test."""
    hooks = app.before_request_funcs[None]
    (ours,) = [hook for hook in hooks if hook.__module__ == init_app.__module__]
    hooks.remove(ours)
    assert client.post("/api/items", json=LAMP, headers=bearer(plain)).status_code == 401
