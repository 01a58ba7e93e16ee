from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, session
from flask.sessions import SecureCookieSessionInterface

from app.sessions import Sessions

VISITS: dict[str, Callable[[], Any]] = {
    "/nothing": lambda: "ok",
    "/read": lambda: str(session.get("name")),
    "/write": lambda: session.update(name="chair") or "ok",
    "/keep": lambda: session.update(name="chair", _permanent=True) or "ok",
    "/clear": lambda: session.clear() or "ok",
    "/own": lambda: (str(session.get("name")), {"Vary": "Accept-Encoding"}),
}


def visited(interface: SecureCookieSessionInterface, paths: str) -> list[tuple[object, ...]]:
    app = Flask("shop")
    app.config["SECRET_KEY"] = "a key"
    app.session_interface = interface
    for path, view in VISITS.items():
        app.add_url_rule(path, path[1:], view)
    client = app.test_client()
    found = []
    for path in paths.split():
        if path == "forge":
            client.set_cookie("session", "eyJuYW1lIjoieCJ9.aaaaaa.forged")
            continue
        answer = client.get(path)
        cookie = answer.headers.get("Set-Cookie", "").partition("=")[0]
        found.append((path, answer.text, answer.headers.get("Vary"), cookie))
    return found


@pytest.mark.parametrize(
    "paths",
    [
        "/nothing /read /own /nothing",
        "/write /read /nothing /own",
        "/keep /nothing /read /clear /read",
        "/write /clear /read /nothing",
        "forge /read /nothing /write /read",
    ],
)
def test_every_answer_is_as_with_flasks_own_sessions(paths: str) -> None:
    assert visited(Sessions(), paths) == visited(SecureCookieSessionInterface(), paths)


def test_the_application_uses_them(app: Flask) -> None:
    assert isinstance(app.session_interface, Sessions)
