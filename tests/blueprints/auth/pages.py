"""What the tests of the account pages share."""

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.extensions import db
from app.models.user import User
from tests.helpers import PASSWORD, Account

MakeApp = Callable[..., Flask]
NEW = "a whole new password"
HOME = "/items"
REGISTRATION = {
    "email": "ann@example.com",
    "name": "Ann",
    "password": PASSWORD,
    "repeat": PASSWORD,
}
limited = pytest.mark.settings(RATELIMIT_ENABLED=True)


class Page(HTMLParser):
    """Read a page: its inputs by name, its texts by id, its title and its notices."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.inputs: dict[str, dict[str, str | None]] = {}
        self.texts: dict[str, str] = {}
        self.labels: set[str | None] = set()
        self.title = ""
        self.notices: list[str] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "input":
            self.inputs[attributes.get("name") or ""] = attributes
        elif tag not in {"meta", "link", "img", "br"}:
            self._open.append((tag, attributes))
            if tag == "label":
                self.labels.add(attributes.get("for"))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            continue

    def handle_data(self, data: str) -> None:
        for tag, attributes in self._open:
            if attributes.get("id"):
                name = attributes["id"] or ""
                self.texts[name] = self.texts.get(name, "") + data.strip()
            if tag == "title":
                self.title += data
            if "alert" in (attributes.get("class") or "").split() and data.strip():
                self.notices.append(data.strip())

    def problem(self, name: str) -> str:
        """Return the error that the field's control points at."""
        field = self.inputs[name]
        assert field["aria-invalid"] == "true"
        pointed_at = (field["aria-describedby"] or "").split()
        return next(self.texts[one] for one in pointed_at if one.endswith("-error"))


def page_of(answer: TestResponse) -> Page:
    return Page(answer.get_data(as_text=True))


def is_logged_in(client: FlaskClient) -> bool:
    return client.get("/auth/password").status_code == 200


def account(app: Flask, user: Account) -> User:
    found = db.session.get(User, user.id)
    assert found is not None
    return found


def change(app: Flask, user: Account, **fields: Any) -> None:
    with app.app_context():
        for name, value in fields.items():
            setattr(account(app, user), name, value)
        db.session.commit()
