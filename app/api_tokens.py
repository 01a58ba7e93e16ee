"""Requests under /api/ that carry an API token: whose they are, before anything else asks."""

from flask import Flask, g, request

from app.observability import log_context
from app.services import api_token_service


def init_app(app: Flask) -> None:
    """Take `Authorization: Bearer …`; comes before CSRF protection, which then has no reason.

    Browsers add cookies by themselves, but never this header.
    """
    app.before_request(_recognise)


def _recognise() -> None:
    """Make the request its token's owner's; raise BadToken or TooManyAttempts.

    Not Flask-Login's request loader: that one is asked last, so a session would win over the
    token, and not at all on pages that are open to everybody.
    """
    if "HTTP_AUTHORIZATION" not in request.environ:
        return
    scheme, _, token = request.environ["HTTP_AUTHORIZATION"].partition(" ")
    if scheme.lower() != "bearer" or not request.path.startswith("/api/"):
        return
    # A session that comes along has no say, neither in the log.
    log_context.bind(user_id=None, account=None)
    g.api_token = api_token_service.use_token(token.strip(), request.remote_addr)
    user = g.api_token.user
    g._login_user = user  # Where Flask-Login keeps it; login_user() would begin a session.
    log_context.bind(user_id=str(user.id), account=user.email, via=f"token {g.api_token.id}")
