"""Forgotten passwords: a signed link by mail that works once, for one hour."""

import contextvars
import logging
import threading
from collections.abc import Callable

from flask import Flask, current_app
from itsdangerous import BadData, URLSafeTimedSerializer

from app.extensions import db
from app.models.user import User
from app.observability.events import record_error
from app.services import email_service, throttle
from app.services.account_rules import email_problem, normal_email
from app.services.errors import Invalid
from app.services.passwords import password_matches
from app.services.user_service import UNCHANGED, find_user, replace_password

log = logging.getLogger(__name__)

MAX_AGE = 3600  # Seconds.
THREAD = "password-reset-mail"
SUBJECT = "Set a new password"
BODY = """Hello,

somebody, probably you, asked to set a new password for your account.
This link works once, for one hour:

{link}

A new password logs you out on all devices. Your API tokens stay valid; if somebody else may
know them, revoke them on your account page.

If it was not you, ignore this mail: your password stays as it is.
"""


def request_reset(email: str, address: str | None, link: Callable[[str], str] | None) -> None:
    """Mail a link to an account's owner; for an unknown address, do nothing, in the same time.

    `link` turns the token into an address; without one there can be no mail. Raises
    TooManyAttempts for the asking address only: an account that is asked for too often gets no
    more mail, and the answer does not tell.
    """
    throttle.take((throttle.RESET_PER_ADDRESS, throttle.network(address)))
    email = normal_email(email)
    try:
        throttle.take((throttle.RESET_PER_ACCOUNT, email))
    except throttle.TooManyAttempts:
        log.warning(
            "password_reset_mail_held_back",
            extra={"account": None if email_problem(email) else email},
        )
        return
    user = find_user(email)
    if link is None:
        log.warning("password_reset_needs_public_url")
    elif user is not None and user.active:
        _send_later(user.email, BODY.format(link=link(make_token(user))))


def make_token(user: User) -> str:
    """Return a token for one account, void as soon as its password changes."""
    return _signer().dumps([user.id, user.session_version])


def user_of_token(token: str) -> User:
    """Return the account a token was made for; raise Invalid when it no longer works."""
    try:
        user_id, version = _signer().loads(token, max_age=MAX_AGE)
    except BadData:
        raise _void() from None
    user = db.session.get(User, user_id)
    if user is None or not user.active or user.session_version != version:
        raise _void()
    return user


def reset_password(token: str, password: str) -> User:
    """Set a new password with a token, which ends the account's sessions on every device."""
    user = user_of_token(token)
    if password_matches(user.password_hash, password):
        raise Invalid(errors={"password": UNCHANGED})
    return replace_password(user, password, via="mail")


def _void() -> Invalid:
    return Invalid("This link no longer works.", errors={"token": "This link no longer works."})


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="password-reset")


def _send_later(recipient: str, body: str) -> None:
    # In a thread of its own: how long SMTP takes would tell who has an account. The worker
    # waits for it when it ends, at most for the mail's own timeout.
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    context = contextvars.copy_context()
    arguments = (_send, app, recipient, body)
    threading.Thread(target=context.run, args=arguments, name=THREAD).start()


def _send(app: Flask, recipient: str, body: str) -> None:
    with app.app_context():
        try:
            email_service.send_email(recipients=[recipient], subject=SUBJECT, body=body)
        except Exception as error:  # noqa: BLE001 - nobody above could record it
            record_error(error)
