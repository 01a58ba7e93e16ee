"""The administrator's pages: what the application did, and everything one request did."""

from flask import Flask

from app.blueprints.admin import api
from app.blueprints.admin.routes import bp

__all__ = ["bp", "init_app"]


def init_app(app: Flask) -> None:
    """Serve the log pages under /admin, and the log for programs under /api/logs."""
    app.register_blueprint(bp)
    app.register_blueprint(api.bp)
