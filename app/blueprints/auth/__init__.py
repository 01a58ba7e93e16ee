"""Register, log in and out, change or renew a password, keep API tokens."""

from flask import Flask

from app.blueprints.auth import account
from app.blueprints.auth.routes import bp
from app.blueprints.auth.sessions import init_sessions

__all__ = ["bp", "init_app"]


def init_app(app: Flask) -> None:
    """Serve the account pages, and know in every request who is logged in."""
    init_sessions(app)
    app.register_blueprint(bp)
    app.register_blueprint(account.bp)
