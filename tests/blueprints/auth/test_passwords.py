import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.blueprints.auth.routes import MAIL_SENT, TOKEN_KEY
from app.services.password_reset import make_token
from tests.blueprints.auth.pages import (
    NEW,
    REGISTRATION,
    MakeApp,
    account,
    change,
    is_logged_in,
    page_of,
)
from tests.helpers import Account, log_lines, login, wait_for


def test_a_changed_password_ends_the_other_sessions_and_keeps_this_one(
    client: FlaskClient, app: Flask, user: Account
) -> None:
    elsewhere = app.test_client()
    login(elsewhere, user)
    login(client, user)

    answer = client.post(
        "/auth/password", data={"current": user.password, "password": NEW, "repeat": NEW}
    )

    assert (answer.status_code, answer.location) == (302, "/account")
    assert is_logged_in(client)
    assert not is_logged_in(elsewhere)
    login(elsewhere, Account(user.id, user.email, NEW))


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"current": "a wrong password"}, "current"),
        ({"password": "short", "repeat": "short"}, "password"),
        ({"repeat": "something else"}, "repeat"),
        ({"password": ""}, "password"),
    ],
)
def test_a_bad_change_names_its_field_and_changes_nothing(
    client: FlaskClient, app: Flask, user: Account, data: dict[str, str], field: str
) -> None:
    login(client, user)
    good = {"current": user.password, "password": NEW, "repeat": NEW}
    answer = client.post("/auth/password", data={**good, **data})
    assert answer.status_code == 422
    assert page_of(answer).problem(field)
    assert is_logged_in(client)
    login(app.test_client(), user)


def test_the_sessions_of_an_account_that_is_switched_off_end(
    client: FlaskClient, app: Flask, user: Account
) -> None:
    login(client, user)
    change(app, user, active=False)
    assert not is_logged_in(client)


@pytest.fixture
def mailing(make_app: MakeApp, smtp_server: Any) -> Flask:
    return make_app(SMTP_HOST=smtp_server.host, SMTP_PORT=smtp_server.port)


def test_a_forgotten_password_is_set_anew_by_mail(mailing: Flask, smtp_server: Any) -> None:
    client, elsewhere = mailing.test_client(), mailing.test_client()
    elsewhere.post("/auth/register", data=REGISTRATION)

    answer = client.post("/auth/forgot", data={"email": "ANN@example.com"})

    assert page_of(client.get(answer.location)).notices == [MAIL_SENT]
    [mail] = wait_for(lambda: smtp_server.messages)
    found = re.search(r"http://localhost(/auth/reset\?token=(\S+))", mail.get_content())
    assert found
    # The token leaves the address before the page is shown.
    assert client.get(found[1]).location == "/auth/reset"
    page = page_of(client.get("/auth/reset"))
    assert {"password", "repeat"} <= set(page.inputs)
    assert (
        client.post("/auth/reset", data={"password": NEW, "repeat": NEW}).location == "/auth/login"
    )
    with client.session_transaction() as session:
        assert TOKEN_KEY not in session
    assert not is_logged_in(elsewhere)
    login(client, Account(1, "ann@example.com", NEW))
    for line in log_lines(mailing):
        assert found[2] not in str(line)
    # Once only.
    again = mailing.test_client()
    assert again.get(found[1], follow_redirects=True).status_code == 422


def test_without_a_mail_server_no_mail_is_offered_or_promised(client: FlaskClient) -> None:
    client.get("/auth/forgot")
    for answer in (
        client.get("/auth/forgot"), client.post("/auth/forgot", data={"email": "a@example.com"}),
    ):  # fmt: skip
        assert "not set up to send mail" in answer.text
        assert "Mail me a link" not in answer.text
        assert "email" not in page_of(answer).inputs
    assert page_of(client.get("/auth/login")).notices == []


def test_an_unknown_address_gets_the_same_answer_and_no_mail(
    mailing: Flask, smtp_server: Any
) -> None:
    client = mailing.test_client()
    client.post("/auth/register", data=REGISTRATION)
    client.post("/auth/logout")
    client.get("/auth/login")
    answers = []
    for email in ("nobody@example.com", "ann@example.com"):
        first = client.post("/auth/forgot", data={"email": email})
        then = client.get(first.location)
        answers.append((first.status_code, first.location, page_of(then).notices))
    assert answers[0] == answers[1]
    wait_for(lambda: smtp_server.messages)
    assert [mail["To"] for mail in smtp_server.messages] == ["ann@example.com"]


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "%00", "%ff", "x" * 5000])
@pytest.mark.settings(SMTP_HOST="127.0.0.1")
def test_a_link_that_does_not_work_offers_a_new_one(client: FlaskClient, token: str) -> None:
    answer = client.get(f"/auth/reset?token={token}", follow_redirects=True)
    page = page_of(answer)
    assert answer.status_code == 422
    assert page.notices == ["This link no longer works. Ask for a new one."]
    assert "email" in page.inputs
    assert client.post("/auth/reset", data={"password": NEW, "repeat": NEW}).status_code == 422


def test_a_bad_new_password_leaves_the_link_good(
    client: FlaskClient, app: Flask, user: Account
) -> None:
    with app.app_context():
        token = make_token(account(app, user))
    client.get("/auth/reset", query_string={"token": token})
    for bad in ({}, {"password": "short", "repeat": "short"}, {"password": NEW, "repeat": "x"}):
        answer = client.post("/auth/reset", data=bad)
        page = page_of(answer)
        assert answer.status_code == 422
        assert page.problem("repeat" if bad.get("repeat") == "x" else "password")
    assert client.post("/auth/reset", data={"password": NEW, "repeat": NEW}).status_code == 302


@pytest.mark.settings(PUBLIC_URL="https://items.example/", SMTP_HOST="127.0.0.1")
def test_the_link_in_a_mail_leads_to_the_address_of_the_settings_not_of_the_request(
    client: FlaskClient, user: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = []
    monkeypatch.setattr(
        "app.services.password_reset.request_reset",
        lambda _email, _address, link: links.append(link("abc")),
    )
    client.post("/auth/forgot", data={"email": user.email}, headers={"Host": "evil.example"})
    assert links == ["https://items.example/auth/reset?token=abc"]


@pytest.mark.parametrize("hosts", [[], ["items.example"]])
def test_in_production_a_request_cannot_choose_where_the_mail_leads(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, hosts: list[str]
) -> None:
    app = make_app(
        APP_ENV="production", TRUSTED_HOSTS=hosts, RATELIMIT_ENABLED=False, SMTP_HOST="127.0.0.1"
    )
    sent = []
    monkeypatch.setattr(
        "app.services.email_service.send_email", lambda **mail: sent.append(mail["body"])
    )
    client = app.test_client()
    client.post("/auth/register", data=REGISTRATION, headers={"Host": "items.example"})
    for host in ("evil.example", "items.example"):
        client.post("/auth/forgot", data={"email": "ann@example.com"}, headers={"Host": host})
    if hosts:
        wait_for(lambda: sent)
        assert len(sent) == 1
        assert "http://items.example/auth/reset?token=" in sent[0]
    else:
        warnings = [one["message"] for one in log_lines(app) if one["level"] == "WARNING"]
        assert warnings == ["password_reset_needs_public_url"] * 2
        assert sent == []
