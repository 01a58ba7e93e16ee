"""The administrator's pages: what the application did, and everything one request did."""

from flask import Flask

from app.blueprints.admin import (
    alerts,
    api,
    around,
    errors,
    errors_api,
    export,
    logs,
    overview,
    overview_api,
    requests,
    security,
    tail,
    users,
)
from app.blueprints.admin.blueprint import bp

# Each of these modules adds its pages to the blueprint.
__all__ = [
    "alerts",
    "around",
    "bp",
    "errors",
    "errors_api",
    "export",
    "init_app",
    "logs",
    "overview",
    "overview_api",
    "requests",
    "security",
    "tail",
    "users",
]


def init_app(app: Flask) -> None:
    """Serve the administrator's pages under /admin, and the log for programs under /api/logs."""
    app.register_blueprint(bp)
    app.register_blueprint(api.bp)
