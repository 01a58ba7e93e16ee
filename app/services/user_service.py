"""Accounts: make them, log in and out, change passwords and roles."""

import logging

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.attributes import set_committed_value

from app.extensions import db
from app.models.types import utc_now
from app.models.user import ADMIN, USER, User
from app.observability import log_context
from app.observability.events import record_event
from app.observability.metrics import login_attempts_total
from app.observability.operations import operation
from app.services import throttle
from app.services.account_rules import (
    EMAIL_MAX,
    email_problem,
    name_problem,
    normal_email,
    password_problem,
    require,
)
from app.services.errors import Conflict, Invalid, NotFound
from app.services.passwords import hash_password, password_matches
from app.services.texts import is_plain

WRONG_LOGIN = "The e-mail address or the password is wrong."
SWITCHED_OFF = "This account is switched off. Please ask an administrator."
UNCHANGED = "This is your present password. Choose another one."


def create_user(
    email: str, password: str, *, name: str = "", role: str = USER, via: str = "page"
) -> User:
    """Make an account; raise Invalid for bad fields and for an address that has one already."""
    email = normal_email(email)
    name = name.strip() or email.partition("@")[0]
    require(
        email=email_problem(email),
        name=name_problem(name),
        password=password_problem(password, email),
    )
    # Who registers is nobody yet: the record names the account that comes of it.
    account = email if via == "page" else log_context.current().get("account")
    with (
        log_context.bound(account=account),
        operation("register", target_type="user", email=email, role=role, via=via) as op,
    ):
        user = User(email=email, name=name, role=role, password_hash=hash_password(password))
        db.session.add(user)
        try:
            db.session.flush()
        except IntegrityError:
            # Two who register one address at once: the database knows who was first.
            raise Invalid(errors={"email": "This e-mail address has an account."}) from None
        op.target_id = user.id
    return user


def authenticate(email: str, password: str, address: str | None) -> User:
    """Log an account in and return it; raise Invalid or TooManyAttempts.

    Takes as long for an unknown account as for a wrong password. A success is no guess and
    counts on no limit.
    """
    email = normal_email(email)
    attempts = (
        (throttle.LOGIN_PER_ADDRESS, throttle.network(address)),
        (throttle.LOGIN_PER_ACCOUNT, email),
    )
    try:
        throttle.take(*attempts)
    except throttle.TooManyAttempts:
        _login_failed(email, "rate_limited")
        raise
    user = find_user(email)
    if not password_matches(user.password_hash if user else None, password) or user is None:
        _login_failed(email, "wrong_password" if user else "unknown_account")
        raise Invalid(errors={"password": WRONG_LOGIN})
    if not user.active:
        _login_failed(email, "inactive")
        raise Invalid(errors={"email": SWITCHED_OFF})
    throttle.give_back(*attempts)
    log_in(user)
    return user


def log_in(user: User) -> None:
    """Record that an account logs in; raise Invalid if its password has changed since it was read.

    Checking a password takes long enough for its owner to change it.
    """
    version = user.session_version
    with (
        log_context.bound(user_id=str(user.id), account=user.email),
        operation("login", target_type="user", target_id=user.id),
    ):
        seen = db.session.scalar(
            update(User)
            .where(User.id == user.id, User.session_version == version, User.active)
            .values(last_login_at=utc_now())
            .returning(User.id)
        )
        if seen is None:
            raise Invalid(errors={"password": WRONG_LOGIN})
    _keep_version(user, version)
    login_attempts_total.labels(result="success").inc()


def log_out(user: User) -> None:
    """Record that an account logs out, on this device only."""
    with operation("logout", target_type="user", target_id=user.id):
        pass


def change_password(user: User, current: str, new: str) -> User:
    """Replace a password, which ends the account's sessions on every device.

    Raises Invalid, or TooManyAttempts: whoever found an open session could guess here.
    """
    attempt = (throttle.LOGIN_PER_ACCOUNT, user.email)
    throttle.take(attempt)
    if not password_matches(user.password_hash, current):
        raise Invalid(errors={"current": "This is not your current password."})
    throttle.give_back(attempt)
    if new == current:
        raise Invalid(errors={"password": UNCHANGED})
    return replace_password(user, new, via="page")


def replace_password(user: User, new: str, *, via: str) -> User:
    """Set a new password if nobody has meanwhile; raise Invalid or Conflict."""
    require(password=password_problem(new, user.email))
    version = user.session_version
    with operation("password_changed", target_type="user", target_id=user.id, via=via):
        changed = db.session.scalar(
            update(User)
            .where(User.id == user.id, User.session_version == version, User.active)
            .values(password_hash=hash_password(new), session_version=version + 1)
            .returning(User.id)
        )
        if changed is None:
            raise Conflict("The password of this account has just been changed.")
    _keep_version(user, version + 1)
    return user


def set_password(email: str, new: str, *, via: str) -> User:
    """Set a new password for who lost it; raise NotFound, Invalid or Conflict."""
    user = _known(email)
    if not user.active:
        raise Invalid(errors={"email": SWITCHED_OFF})
    return replace_password(user, new, via=via)


def _keep_version(user: User, version: int) -> None:
    # The commit made the account forget it: read again, it could be that of a newer password,
    # and the session that begins now would outlive the change.
    set_committed_value(user, "session_version", version)


def promote(email: str) -> bool:
    """Make an account an administrator; return False when it is one; raise NotFound."""
    user = _known(email)
    if user.is_admin:
        return False
    with operation("role_changed", target_type="user", target_id=user.id, role=ADMIN):
        user.role = ADMIN
    return True


def _known(email: str) -> User:
    user = find_user(email)
    if user is None:
        raise NotFound("No account has this e-mail address.", errors={"email": "No such account."})
    return user


def find_user(email: str) -> User | None:
    """Return the account of an address, which may be any text."""
    email = normal_email(email)
    # A database may refuse such a text as a parameter; no account can have it.
    if len(email) > EMAIL_MAX or not is_plain(email):
        return None
    return db.session.scalar(select(User).where(User.email == email))


def any_user() -> bool:
    """Tell whether there is an account at all."""
    return db.session.scalar(select(User.id).limit(1)) is not None


def user_of_session(session_id: str) -> User | None:
    """Return the account that User.get_id() named, unless its sessions have ended since."""
    number, _, version = session_id.partition(":")
    if not (number.isdecimal() and version.isdecimal()):
        return None
    user = db.session.get(User, int(number))
    if user is None or not user.active or user.session_version != int(version):
        return None
    return user


def _login_failed(email: str, reason: str) -> None:
    login_attempts_total.labels(result="failure").inc()
    record_event(
        "login_failed",
        "login failed",
        level=logging.WARNING,
        # What is no address may be a password, typed into the wrong field.
        account=None if email_problem(email) else email,
        outcome="refused",
        reason=reason,
    )
