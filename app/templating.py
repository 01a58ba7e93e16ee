"""Jinja, with one plain dictionary of globals for each template."""

from collections.abc import MutableMapping
from typing import Any

from flask import Flask
from flask.templating import Environment


def init_app(app: Flask) -> None:
    """Have templates made this way; comes before whoever adds to the environment."""
    app.jinja_environment = PageEnvironment


class PageEnvironment(Environment):
    """Give a template its globals when it is loaded, which is after an application is made.

    Jinja gives it a map of two maps, and copies that name by name for each page and each template
    that a page includes: more than a short page takes.
    """

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        return {**self.globals, **(d or {})}
