from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.security_headers import HEADERS
from tests.helpers import Account, login


def policy(answer: object) -> dict[str, set[str]]:
    parts = answer.headers["Content-Security-Policy"].split("; ")  # type: ignore[attr-defined]
    return {part.split()[0]: set(part.split()[1:]) for part in parts}


@pytest.mark.parametrize("path", ["/items", "/api/items", "/static/app.css", "/nowhere", "/api/no"])
def test_every_answer_carries_the_headers(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "Strict-Transport-Security" not in answer.headers


def test_a_page_runs_nothing_inline_and_nothing_from_elsewhere(client: FlaskClient) -> None:
    found = policy(client.get("/items"))
    assert found["default-src"] == {"'self'"}
    assert found["img-src"] == {"'self'", "data:"}
    assert found["frame-ancestors"] == found["object-src"] == found["base-uri"] == {"'none'"}
    sources = set().union(*found.values())
    assert not sources & {"'unsafe-inline'", "'unsafe-eval'", "*", "https:", "http:"}


def test_the_answer_to_an_unforeseen_error_carries_them_too(
    app: Flask, client: FlaskClient
) -> None:
    app.add_url_rule("/broken", "broken", lambda: 1 / 0)
    answer = client.get("/broken")
    assert answer.status_code == 500
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_a_view_keeps_the_header_it_sets_itself(app: Flask, client: FlaskClient) -> None:
    app.add_url_rule("/own", "own", lambda: ("", {"Referrer-Policy": "no-referrer"}))
    assert client.get("/own").headers["Referrer-Policy"] == "no-referrer"


def test_pages_of_somebody_signed_in_are_kept_nowhere(client: FlaskClient, user: Account) -> None:
    for path in ("/items", "/api/items", "/nowhere"):
        assert client.get(path).headers["Cache-Control"] == "private, no-cache"
    login(client, user)
    for path in ("/items", "/api/items", "/nowhere"):
        assert client.get(path).headers["Cache-Control"] == "no-store"
    assert "no-store" not in client.get("/static/app.css").headers["Cache-Control"]


def test_over_https_in_production_browsers_are_told_to_stay_there(
    make_app: Callable[..., Flask],
) -> None:
    client = make_app(APP_ENV="production").test_client()
    secure = client.get("/items", base_url="https://example.com")
    assert secure.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert "Strict-Transport-Security" not in client.get("/items").headers
