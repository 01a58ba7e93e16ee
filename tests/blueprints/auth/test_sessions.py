import pytest
from flask import Flask, session
from flask.testing import FlaskClient
from flask_login import current_user

from app.blueprints.auth.sessions import begin_session, load_user
from app.extensions import db
from app.models.user import User
from app.observability import log_context
from tests.helpers import Account, log_lines, login


@pytest.fixture
def ann(app: Flask, user: Account) -> User:
    with app.app_context():
        found = db.session.get(User, user.id)
        assert found is not None
        return found


def attach(user: User) -> User:
    return db.session.merge(user)


def test_a_session_keeps_nothing_of_the_one_before(app: Flask, ann: User) -> None:
    with app.test_request_context():
        session["planted"] = "by somebody else"
        begin_session(attach(ann), keep=False)
        assert set(session) == {"_user_id", "_fresh", "_id", "_permanent", "account"}
        assert session.permanent is False


def test_a_session_is_kept_for_two_weeks_on_demand(app: Flask, ann: User) -> None:
    with app.test_request_context():
        begin_session(attach(ann), keep=True)
        assert session.permanent is True
    assert app.permanent_session_lifetime.days == 14


def test_records_after_a_login_say_who(app: Flask, ann: User) -> None:
    with app.test_request_context(), log_context.bound():
        begin_session(attach(ann), keep=False)
        assert log_context.current()["user_id"] == str(ann.id)
        assert log_context.current()["account"] == ann.email


def test_a_recognised_user_is_named_in_the_log_context(app: Flask, ann: User) -> None:
    with app.test_request_context(), log_context.bound():
        user = load_user(f"{ann.id}:1")
        assert user is not None
        assert user.email == ann.email
        assert log_context.current()["user_id"] == str(ann.id)
        assert log_context.current()["account"] == ann.email


def test_what_an_ended_session_claims_is_not_logged(app: Flask, ann: User) -> None:
    with app.test_request_context(), log_context.bound(user_id=str(ann.id), account=ann.email):
        session["_user_id"] = f"{ann.id}:0"
        assert load_user(session["_user_id"]) is None
        assert log_context.current()["user_id"] is None
        assert log_context.current()["account"] is None
        assert "_user_id" not in session


def test_a_request_names_its_user_in_the_file(
    client: FlaskClient, app: Flask, user: Account
) -> None:
    login(client, user)
    client.get("/auth/password")
    record = log_lines(app, "request")[-1]
    assert (record["user_id"], record["account"]) == (str(user.id), user.email)


def test_a_request_with_an_ended_session_names_nobody_in_the_file(
    client: FlaskClient, app: Flask, user: Account
) -> None:
    login(client, user)
    with app.app_context():
        db.session.get(User, user.id).session_version += 1  # type: ignore[union-attr]
        db.session.commit()

    answer = client.get("/auth/password")

    assert answer.status_code == 302
    record = log_lines(app, "request")[-1]
    assert "user_id" not in record
    assert "account" not in record


def test_a_record_says_when_nobody_checked_who_the_cookie_names(
    client: FlaskClient, app: Flask, user: Account
) -> None:
    login(client, user)
    for path in ("/api/items", "/items"):
        client.get(path)
    unchecked, checked = log_lines(app, "request")[-2:]
    assert unchecked["user_id"] == checked["user_id"] == str(user.id)
    assert unchecked["details"]["user_unverified"] is True
    assert "user_unverified" not in checked["details"]


def test_an_ended_session_is_a_strangers(app: Flask, client: FlaskClient, user: Account) -> None:
    login(client, user)
    with app.app_context():
        db.session.get(User, user.id).active = False  # type: ignore[union-attr]
        db.session.commit()
    with client:
        client.get("/auth/login")
        assert not current_user.is_authenticated


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {}, 302),
        ("GET", {"Accept": "application/json"}, 401),
        ("POST", {"Content-Type": "application/json"}, 401),
        ("POST", {}, 302),
    ],
)
def test_a_stranger_gets_the_login_page_and_a_program_401(
    client: FlaskClient, method: str, headers: dict[str, str], status: int
) -> None:
    answer = client.open("/auth/password?a=1&b=2", method=method, headers=headers)
    assert answer.status_code == status
    if status == 302:
        back = "?next=/auth/password?a%3D1%26b%3D2" if method == "GET" else ""
        assert answer.location == f"/auth/login{back}"
    else:
        assert answer.get_json()["status"] == 401
