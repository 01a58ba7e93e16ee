from collections.abc import Callable

import pytest
from flask import Flask, request

from app.trusted_proxies import init_app

FORGED = {
    "X-Forwarded-For": "6.6.6.6, 10.0.0.1",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "items.example.org",
}


@pytest.mark.parametrize(
    ("hops", "seen"),
    [
        (0, "http://localhost 127.0.0.1"),
        (1, "https://items.example.org 10.0.0.1"),
        (2, "http://localhost 6.6.6.6"),
    ],
)
def test_as_many_hops_are_believed_as_there_are_proxies(hops: int, seen: str) -> None:
    app = Flask("shop")
    app.config["TRUSTED_PROXIES"] = hops
    init_app(app)
    app.add_url_rule("/", "root", lambda: f"{request.url_root.rstrip('/')} {request.remote_addr}")
    assert app.test_client().get("/", headers=FORGED).get_data(as_text=True) == seen


def test_by_default_nobody_forges_an_address(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    app.add_url_rule("/who", "who", lambda: str(request.remote_addr))
    answer = app.test_client().get("/who", headers=FORGED)
    assert answer.get_data(as_text=True) == "127.0.0.1"
