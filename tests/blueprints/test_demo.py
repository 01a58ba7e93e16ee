from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.blueprints.demo import bp
from tests.helpers import SECRET_KEY, log_lines

PATHS = ["/demo", "/demo/error", "/demo/slow", "/demo/n-plus-one"]


def test_the_error_page_shows_an_id_whose_record_has_the_exception_and_the_sql(
    app: Flask, client: FlaskClient
) -> None:
    answer = client.get("/demo/error")
    assert answer.status_code == 500
    request_id = answer.headers["X-Request-ID"]
    assert f'<code id="request-id">{request_id}</code>' in answer.get_data(as_text=True)
    (error,) = log_lines(app, "error")
    assert (error["request_id"], error["route"]) == (request_id, "/demo/error")
    assert error["exception"]["type"] == "ZeroDivisionError"
    assert error["details"]["place"].startswith("app/services/demo_service.py:")
    (request,) = log_lines(app, "request")
    assert [one["count"] for one in request["details"]["queries"]] == [1, 1, 1]


@pytest.mark.settings(SLOW_QUERY_MS=50)
def test_the_slow_page_is_told_as_slow_with_its_route(app: Flask, client: FlaskClient) -> None:
    assert client.get("/demo/slow").status_code == 200
    slow = [one for one in log_lines(app, "slow_query") if "pg_sleep" in one["statement"]]
    assert [one["route"] for one in slow] == ["/demo/slow"]


def test_the_pages_that_work_say_what_they_show(client: FlaskClient) -> None:
    assert client.get("/demo/n-plus-one").status_code == 200
    page = client.get("/demo").get_data(as_text=True)
    for path in PATHS[1:]:
        assert f'href="{path}"' in page


@pytest.mark.parametrize("path", PATHS)
def test_in_production_they_do_not_exist(path: str, make_app: Callable[..., Flask]) -> None:
    app = make_app(APP_ENV="production", SECRET_KEY=SECRET_KEY, SCHEDULER_ENABLED=False)
    assert bp.name not in app.blueprints
    assert app.test_client().get(path).status_code == 404
