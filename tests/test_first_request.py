from collections.abc import Callable
from typing import Any

from flask import Flask, request_started

from app.first_request import at_first_request

SERVED: dict[str, Any] = {"environ_overrides": {"SERVER_SOFTWARE": "gunicorn/1"}}


def test_each_app_starts_with_the_first_request_that_a_server_hands_on_to_it(
    make_app: Callable[..., Flask],
) -> None:
    known = len(request_started.receivers)
    started: list[Flask] = []
    one, other = make_app(), make_app()
    for app in (one, other):
        at_first_request(app, started.append)
    for app in (one, other):
        app.test_client().get("/health/live")
    assert started == []
    for _ in range(2):
        one.test_client().get("/health/live", **SERVED)
    assert started == [one]
    other.test_client().get("/health/live", **SERVED)
    assert started == [one, other]
    # As long as one is connected, the signal looks for it in each request.
    assert len(request_started.receivers) == known


def test_two_first_requests_at_once_are_one_start(app: Flask) -> None:
    started: list[Flask] = []
    known = list(request_started.receivers_for(app))
    at_first_request(app, started.append)
    # As the signal does for each of the requests, before the first of them has begun.
    (begin,) = [one for one in request_started.receivers_for(app) if one not in known]
    for _ in range(2):
        with app.test_request_context(**SERVED):
            begin(app)
    assert started == [app]
