import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.blueprints.auth.account import bp
from app.extensions import db
from app.models.user import User
from app.services.api_token_service import create_token, list_tokens, use_token
from tests.helpers import PASSWORD, Account, log_lines, login

PLAIN = re.compile(r"gh_[\w-]{43}")
NEW = "a whole new password"


@pytest.fixture
def signed_in(client: FlaskClient, user: Account) -> FlaskClient:
    login(client, user)
    return client


def made(app: Flask, account: Account, name: str) -> tuple[int, str]:
    with app.app_context():
        owner = db.session.get(User, account.id)
        assert owner is not None
        token, plain = create_token(owner, name)
        return token.id, plain


def names(app: Flask) -> list[str]:
    with app.app_context():
        return [token.name for token in list_tokens()]


def test_the_page_says_who_one_is_and_is_reached_from_every_page(
    signed_in: FlaskClient, user: Account
) -> None:
    assert 'href="/account"' in signed_in.get("/items").get_data(as_text=True)
    page = signed_in.get("/account").get_data(as_text=True)
    for said in (user.email, "Member", 'href="/auth/password"', "Create your first token"):
        assert said in page, said


def test_a_token_is_shown_in_the_one_answer_that_makes_it(
    signed_in: FlaskClient, app: Flask, user: Account
) -> None:
    answer = signed_in.post("/account/tokens", data={"name": "deploy", "days": "30"})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    (plain,) = set(PLAIN.findall(answer.get_data(as_text=True)))
    with app.app_context():
        token = use_token(plain, None)
        assert (token.user_id, token.name) == (user.id, "deploy")
    later = signed_in.get("/account").get_data(as_text=True)
    assert plain not in later
    assert plain[:11] in later
    # A reload sends the form again, and makes no second one.
    again = signed_in.post("/account/tokens", data={"name": "deploy", "days": "30"})
    assert (again.status_code, names(app)) == (422, ["deploy"])
    assert "You have a token of this name." in again.get_data(as_text=True)
    cookie = signed_in.get_cookie("session")
    assert cookie is not None
    assert plain not in cookie.value
    assert plain not in str(log_lines(app))


@pytest.mark.parametrize(
    "data",
    [{}, {"name": ""}, {"name": "x" * 81}, {"name": "x", "days": "31"}, {"name": "x\0"}],
)
def test_a_bad_form_is_shown_again(
    signed_in: FlaskClient, app: Flask, data: dict[str, str]
) -> None:
    answer = signed_in.post("/account/tokens", data=data)
    assert answer.status_code == 422
    assert "<title>Error: Account" in answer.get_data(as_text=True)
    assert "aria-invalid" in answer.get_data(as_text=True)
    assert names(app) == []


def test_a_click_ends_a_token_and_only_ones_own(
    signed_in: FlaskClient, app: Flask, user: Account, other_user: Account
) -> None:
    (own, _), (theirs, _) = made(app, user, "<b>mine</b>"), made(app, other_user, "theirs")
    page = signed_in.get("/account").get_data(as_text=True)
    assert "&lt;b&gt;mine&lt;/b&gt;" in page
    assert "theirs" not in page
    for number in (theirs, own, own, 2**70):
        answer = signed_in.post(f"/account/tokens/{number}/revoke")
        assert (answer.status_code, answer.location) == (302, "/account")
    assert names(app) == ["theirs"]
    assert len(log_lines(app, "token_revoked")) == 1


def test_tokens_survive_a_change_of_password_and_the_page_says_so(
    signed_in: FlaskClient, app: Flask, user: Account
) -> None:
    _, plain = made(app, user, "deploy")
    signed_in.post("/auth/password", data={"current": PASSWORD, "password": NEW, "repeat": NEW})
    assert "Your API tokens still work." in signed_in.get("/account").get_data(as_text=True)
    with app.app_context():
        assert use_token(plain, None).user_id == user.id


@pytest.mark.settings(WTF_CSRF_ENABLED=True)
def test_a_token_is_made_and_ended_only_with_the_forms_own_key(
    app: Flask, client: FlaskClient, user: Account
) -> None:
    number, _ = made(app, user, "deploy")
    with client.session_transaction() as session:
        session["_user_id"] = f"{user.id}:1"
    for path in ("/account/tokens", f"/account/tokens/{number}/revoke"):
        assert client.post(path, data={"name": "forged"}).status_code == 400
    assert names(app) == ["deploy"]
    rules = {rule.rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith(bp.name)}
    assert rules == {"/account", "/account/tokens", "/account/tokens/<int:token_id>/revoke"}
