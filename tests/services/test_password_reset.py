import re
import threading
import time
from collections.abc import Callable
from typing import Any

import itsdangerous.timed
import pytest
from flask import Flask, current_app

from app.extensions import db
from app.models.user import User
from app.services import password_reset
from app.services.errors import Invalid
from app.services.password_reset import (
    MAX_AGE,
    make_token,
    request_reset,
    reset_password,
    user_of_token,
)
from app.services.throttle import RESET_PER_ACCOUNT, RESET_PER_ADDRESS, TooManyAttempts
from app.services.user_service import authenticate, create_user, replace_password
from tests.helpers import log_lines, wait_for

MakeApp = Callable[..., Flask]
EMAIL = "ann@example.com"
PASSWORD = "correct horse battery"
NEW = "a whole new password"


def link(token: str) -> str:
    return f"https://glasshouse.example/auth/reset?token={token}"


@pytest.fixture
def mailing(make_app: MakeApp, smtp_server: Any) -> Any:
    """An app that mails over a real SMTP server."""
    app = make_app(SMTP_HOST=smtp_server.host, SMTP_PORT=smtp_server.port, RATELIMIT_ENABLED=True)
    with app.app_context():
        yield app


@pytest.fixture
def ann(app_context: Flask) -> User:
    return create_user(EMAIL, PASSWORD)


def no_mail_is_on_its_way() -> bool:
    return all(thread.name != password_reset.THREAD for thread in threading.enumerate())


def is_void(token: str) -> bool:
    try:
        user_of_token(token)
    except Invalid as refused:
        return set(refused.errors) == {"token"}
    return False


def test_a_known_address_gets_a_link_that_sets_a_new_password(
    mailing: Flask, smtp_server: Any
) -> None:
    user = create_user(EMAIL, PASSWORD)
    session_id = user.get_id()

    request_reset(" ANN@example.com", "192.0.2.1", link)

    [mail] = wait_for(lambda: smtp_server.messages)
    assert mail["To"] == EMAIL
    text = mail.get_content()
    found = re.search(r"https://glasshouse\.example/auth/reset\?token=(\S+)", text)
    assert found, text
    reset_password(found[1], NEW)
    assert authenticate(EMAIL, NEW, None).id == user.id
    assert user.get_id() != session_id
    assert is_void(found[1])
    [line] = log_lines(mailing, "password_changed")
    assert (line["target_id"], line["details"]) == (str(user.id), {"via": "mail"})


@pytest.mark.parametrize("email", ["nobody@example.com", "off@example.com", "a\0b", "x" * 9000])
def test_an_unknown_or_inactive_account_gets_no_mail_and_no_other_answer(
    mailing: Flask, smtp_server: Any, email: str
) -> None:
    create_user("off@example.com", PASSWORD).active = False
    db.session.commit()
    assert request_reset(email, "192.0.2.1", link) is None
    wait_for(no_mail_is_on_its_way)
    assert smtp_server.messages == []


def test_the_answer_does_not_wait_for_the_mail(
    app_context: Flask, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    sent = []

    def slow(**mail: Any) -> bool:
        release.wait(30)
        sent.append(mail["recipients"])
        return True

    monkeypatch.setattr(password_reset.email_service, "send_email", slow)
    try:
        request_reset(EMAIL, None, link)
        assert sent == []
    finally:
        release.set()
    wait_for(lambda: sent == [[EMAIL]])


def test_mail_that_raises_is_recorded_and_stays_away_from_the_request(
    app: Flask, app_context: Flask, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_mail: Any) -> bool:
        raise OSError("no route to host")

    monkeypatch.setattr(password_reset.email_service, "send_email", broken)
    request_reset(EMAIL, None, link)
    [line] = wait_for(lambda: log_lines(app, "error"))
    assert line["exception"]["type"] == "OSError"


def test_the_token_is_in_no_log(mailing: Flask, smtp_server: Any) -> None:
    user = create_user(EMAIL, PASSWORD)
    tokens = []
    request_reset(EMAIL, None, lambda token: tokens.append(token) or link(token))
    wait_for(lambda: smtp_server.messages)
    reset_password(tokens[0], NEW)
    assert user.id
    for line in log_lines(mailing):
        assert tokens[0] not in str(line)


def test_a_token_works_once(ann: User) -> None:
    token = make_token(ann)
    reset_password(token, NEW)
    assert is_void(token)
    with pytest.raises(Invalid):
        reset_password(token, "another new password")
    assert authenticate(EMAIL, NEW, None)


@pytest.mark.parametrize("refused_password", ["short", PASSWORD])
def test_a_new_password_that_is_refused_leaves_the_token_good(
    ann: User, refused_password: str
) -> None:
    token = make_token(ann)
    with pytest.raises(Invalid) as refused:
        reset_password(token, refused_password)
    assert set(refused.value.errors) == {"password"}
    assert not is_void(token)


def test_a_token_is_void_after_any_other_change_of_the_password(ann: User) -> None:
    token = make_token(ann)
    replace_password(ann, NEW, via="page")
    assert is_void(token)


def test_a_token_of_an_account_that_was_switched_off_is_void(ann: User) -> None:
    token = make_token(ann)
    ann.active = False
    db.session.commit()
    assert is_void(token)


@pytest.mark.parametrize(("age", "void"), [(MAX_AGE - 5, False), (MAX_AGE + 5, True)])
def test_a_token_works_for_one_hour(
    ann: User, monkeypatch: pytest.MonkeyPatch, age: int, void: bool
) -> None:
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr(itsdangerous.timed.time, "time", lambda: now - age)
        token = make_token(ann)
    assert is_void(token) is void


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a\0b", "é", "W10.aaaa.bbbb", "x" * 10_000])
def test_a_made_up_token_is_void(app_context: Flask, token: str) -> None:
    assert is_void(token)


def test_a_token_that_was_changed_anywhere_is_void(ann: User) -> None:
    token = make_token(ann)
    for position in range(len(token) - 1):
        other = "A" if token[position] != "A" else "B"
        assert is_void(token[:position] + other + token[position + 1 :])


def test_a_token_signed_with_another_key_is_void(ann: User, app: Flask) -> None:
    token = make_token(ann)
    current_app.config["SECRET_KEY"] = "another-key-that-is-long-enough-0123456789"
    assert is_void(token)


def test_an_account_gets_few_mails_and_the_answer_does_not_tell(
    mailing: Flask, smtp_server: Any
) -> None:
    create_user(EMAIL, PASSWORD)
    for number in range(RESET_PER_ACCOUNT.rate.amount + 3):
        request_reset(EMAIL, f"192.0.2.{number}", link)
    wait_for(no_mail_is_on_its_way)
    assert len(smtp_server.messages) == RESET_PER_ACCOUNT.rate.amount


def test_one_address_may_ask_for_few_accounts(mailing: Flask) -> None:
    for number in range(RESET_PER_ADDRESS.rate.amount):
        request_reset(f"user{number}@example.com", "192.0.2.1", link)
    with pytest.raises(TooManyAttempts):
        request_reset("more@example.com", "192.0.2.1", link)
