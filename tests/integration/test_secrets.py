"""Random strings, sent wherever a secret can be: none of them is in any file or on the console."""

import io
import logging
import secrets
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from sqlalchemy import text

from app import db
from app.observability.log_context import ContextLogger
from app.observability.logging_setup import ConsoleHandler
from tests.helpers import log_lines

MakeApp = Callable[..., Flask]


def canary() -> str:
    return f"cnry{secrets.token_hex(12)}"


class Watched:
    """An app with views that say, raise and ask the database for whatever they are given."""

    def __init__(self, make_app: MakeApp, tmp_path: Path, log_format: str, propagate: bool):
        self.key, self.token = canary() + canary(), canary()
        self.app = make_app(
            SECRET_KEY=self.key, METRICS_TOKEN=self.token, LOG_FORMAT=log_format,
            PROPAGATE_EXCEPTIONS=propagate, SLOW_QUERY_MS=0, LOG_LEVEL="DEBUG",
        )  # fmt: skip
        self.console = io.StringIO()
        for handler in logging.getLogger().handlers:
            if isinstance(handler, ConsoleHandler):
                handler.setStream(self.console)
        self.app.add_url_rule("/say", "say", self.say, methods=["GET", "POST"])
        self.app.add_url_rule("/reset/<token>", "reset_link", self.say)
        self.client: FlaskClient = self.app.test_client()

    def say(self, token: str = "") -> str:
        """Tell the bare value in every way a view can: the key that names it is not there."""
        value = str(request.headers.get("X-Value") or token or self.value_of_request())
        log = ContextLogger(logging.getLogger("shop"), {"item": value})
        log.info("value %s", value, extra={"list": [value], "map": {"any": [value]}})
        log.debug(f"in the text: {value}", extra={value: 1})  # noqa: G004 - as people do
        db.session.execute(text("SELECT :value"), {"value": value})
        try:
            db.session.execute(text("SELECT * FROM nowhere WHERE a = :value"), {"value": value})
        except Exception:
            log.error("the database refused")
        try:
            raise KeyError(value)
        except KeyError as inner:
            raise ValueError(f"cannot use {value!r} here") from inner

    def value_of_request(self) -> Any:
        body = request.get_json(silent=True) or {}
        return (
            request.args.get("token") or request.form.get("password") or request.cookies.get("any")
            or (body.get("user") or {}).get("password") or body.get("x")
        )  # fmt: skip

    def open(self, path: str, cookie: str = "", **options: Any) -> None:
        if cookie:
            self.client.set_cookie("any", cookie)
        try:
            self.client.open(path, **options)
        except ValueError:
            assert self.app.config["PROPAGATE_EXCEPTIONS"]

    def texts(self) -> dict[str, str]:
        files = sorted(Path(self.app.config["LOG_DIR"]).iterdir())
        found = {path.name: path.read_text() for path in files}
        assert set(found) >= {"app.log", "error.log"}
        return {**found, "console": self.console.getvalue()}


@pytest.fixture(params=[("text", False), ("json", False), ("json", True)])
def watched(request: pytest.FixtureRequest, make_app: MakeApp, tmp_path: Path) -> Watched:
    return Watched(make_app, tmp_path, *request.param)


PLACES: dict[str, Callable[[str], tuple[str, dict[str, Any]]]] = {
    "header": lambda value: ("/say", {"headers": {"X-Api-Key": value, "X-Value": value}}),
    "bearer": lambda value: (
        "/say", {"headers": {"Authorization": f"Bearer {value}", "X-Value": value}}
    ),
    "basic": lambda value: (
        "/say",
        {"headers": {
            "Authorization": "Basic " + b64encode(f"me:{value}".encode()).decode(),
            "X-Value": value,
        }},
    ),
    "cookie": lambda value: ("/say", {"cookie": value}),
    "query": lambda value: (f"/say?token={value}", {}),
    "form": lambda value: ("/say", {"method": "POST", "data": {"password": value}}),
    "json": lambda value: ("/say", {"method": "POST", "json": {"user": {"password": value}}}),
    "path": lambda value: (f"/reset/{value}", {}),
    "user agent": lambda value: (
        f"/say?token={value}", {"headers": {"User-Agent": value, "Referer": f"/?x={value}"}}
    ),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_of_a_request_is_nowhere(watched: Watched, place: str) -> None:
    value = canary()
    path, options = PLACES[place](value)
    watched.open(path, **options)
    for name, content in watched.texts().items():
        assert value not in content, name
    # It was said, and masked: a test that logs nothing finds nothing.
    (error,) = log_lines(watched.app, "error")
    assert error["exception"]["message"] == "cannot use '[redacted]' here"
    said = [one for one in log_lines(watched.app) if one["logger"] == "shop"]
    assert [one["message"] for one in said] == [
        "value [redacted]", "in the text: [redacted]", "the database refused",
    ]  # fmt: skip
    assert said[0]["details"]["map"] == {"any": ["[redacted]"]}


def test_what_was_in_no_sensitive_field_is_there_so_the_masks_are_no_accident(
    watched: Watched,
) -> None:
    value = canary()
    watched.open("/say", method="POST", json={"x": value})
    assert value in watched.texts()["app.log"]


def test_a_secret_that_needs_escapes_is_nowhere_in_any_spelling(watched: Watched) -> None:
    value = f'{canary()}"\\/\n ü%{canary()}'
    watched.open("/say", method="POST", data={"password": value})
    for part in (value[:20], value[-20:]):
        for name, content in watched.texts().items():
            assert part not in content, name


def test_the_secrets_of_the_settings_are_nowhere(watched: Watched) -> None:
    log = logging.getLogger("shop")
    log.warning("%s %s", watched.key, watched.token)
    log.error("config", extra={"all": dict(watched.app.config)})
    password = canary()
    try:
        raise ConnectionError(f"postgresql+psycopg://items:{password}@db.example.org/items")
    except ConnectionError:
        log.exception("cannot connect")
    for name, content in watched.texts().items():
        assert watched.key not in content, name
        assert watched.token not in content, name
        assert password not in content, name


def test_a_real_login_leaves_its_password_nowhere(watched: Watched) -> None:
    wrong = canary()
    watched.client.post("/auth/login", data={"email": "no@example.com", "password": wrong})
    watched.open(f"/say?token={wrong}")
    for name, content in watched.texts().items():
        assert wrong not in content, name
    (failed,) = log_lines(watched.app, "login_failed")
    assert failed["account"] == "no@example.com"
