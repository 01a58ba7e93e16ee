"""The session of whoever is logged in: begin, recognise, end; what strangers get."""

from flask import Flask, abort, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user

from app.blueprints.auth.next_url import safe_next
from app.error_pages import wants_json
from app.extensions import login_manager
from app.models.user import User
from app.observability import log_context
from app.services import user_service


def init_sessions(app: Flask) -> None:
    """Set up Flask-Login for this app."""
    # What its init_app() does, but for a hook of the cookie by which it remembers users after
    # their session's end, which ours has none of, and `current_user` in each template's context.
    app.login_manager = login_manager  # type: ignore[attr-defined]
    # Looked up when a template asks for it, not before each that is rendered.
    app.jinja_env.globals["current_user"] = current_user
    login_manager.user_loader(load_user)
    login_manager.unauthorized_handler(answer_stranger)
    # Its own guard trusts X-Forwarded-For from anybody and only marks sessions as stale.
    login_manager.session_protection = None


def begin_session(user: User, *, keep: bool) -> None:
    """Log a user in on this device, for two weeks or until the browser closes.

    Nothing of the session before is kept, so a session planted by somebody else is worthless.
    """
    session.clear()
    session.permanent = keep
    login_user(user)
    # For the log of requests that fail before anybody asks the database who this is.
    session["account"] = user.email
    log_context.bind(user_id=str(user.id), account=user.email)


def load_user(session_id: str) -> User | None:
    """Recognise the user of a session, and say in the log who it is."""
    user = user_service.user_of_session(session_id)
    if user is None:
        # The cookie outlived its session; what it claims must not be logged as true.
        log_context.bind(user_id=None, account=None)
        session.pop("_user_id", None)
        return None
    log_context.bind(user_id=str(user.id), account=user.email)
    return user


def answer_stranger() -> ResponseReturnValue:
    """Send people to the login page and back; programs get 401."""
    if wants_json():
        abort(401)
    # What was posted cannot be posted again after the login: start over at the first page.
    back = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("auth.login", next=safe_next(back)))
