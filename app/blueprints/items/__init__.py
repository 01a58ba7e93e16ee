"""Items: pages for people, JSON for programs, one set of rules for both."""

from flask import Flask

from app.blueprints.items import api, routes

__all__ = ["init_app"]


def init_app(app: Flask) -> None:
    """Register the pages under /items and the JSON under /api/items."""
    app.register_blueprint(routes.bp)
    app.register_blueprint(api.bp)
