import importlib.util
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from app import db
from app.observability import metrics
from app.observability.metrics import METHODS, REGISTRY
from tests.exposition import scrape

COUNT = "flask_http_request_duration_seconds_count"
TOTAL = "flask_http_request_total"


def add_routes(app: Flask) -> FlaskClient:
    app.add_url_rule("/things/<int:number>", "thing", lambda number: f"thing {number}")
    app.add_url_rule("/broken", "broken", lambda: 1 / 0)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app.test_client()


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("item_operations_total", ("operation", "status")),
        ("login_attempts_total", ("result",)),
        ("emails_total", ("result",)),
        ("log_records_total", ("level",)),
        ("log_records_dropped_total", ("reason",)),
        ("db_query_duration_seconds", ()),
        ("db_pool_connections", ("state",)),
    ],
)
def test_each_metric_is_known_by_the_name_that_prometheus_shows(
    name: str, labels: tuple[str, ...]
) -> None:
    metric: Any = getattr(metrics, name)
    (family,) = metric.describe()
    shown = f"{family.name}_total" if family.type == "counter" else family.name
    assert shown == name
    assert metric._labelnames == labels


def test_importing_the_module_again_is_no_clash() -> None:
    spec = importlib.util.find_spec("app.observability.metrics")
    assert spec is not None
    assert spec.loader is not None
    again = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(again)
    assert again.REGISTRY is not REGISTRY


def test_requests_are_grouped_by_the_template_of_their_route(app: Flask) -> None:
    client = add_routes(app)
    for number in range(5):
        client.get(f"/things/{number}")
    found = scrape(client)
    assert found.value(COUNT, method="GET", status=200, url_rule="/things/<int:number>") == 5
    assert found.value(TOTAL, method="GET", status=200) == 5
    assert found.labels(COUNT, "url_rule") == {"/things/<int:number>"}


def test_all_paths_without_a_route_share_one_value(app: Flask) -> None:
    client = add_routes(app)
    for number in range(20):
        client.get(f"/nowhere/{number}")
    found = scrape(client)
    assert found.value(COUNT, method="GET", status=404, url_rule="unmatched") == 20
    assert found.labels(COUNT, "url_rule") == {"unmatched"}


def test_a_request_that_fails_is_counted_once_as_500(app: Flask) -> None:
    client = add_routes(app)
    client.get("/broken")
    found = scrape(client)
    assert found.sum(TOTAL) == found.value(TOTAL, method="GET", status=500) == 1
    assert found.value(COUNT, method="GET", status=500, url_rule="/broken") == 1


def test_methods_that_clients_make_up_become_no_series(app: Flask) -> None:
    client = add_routes(app)
    before = scrape(client).value("requests_unknown_method_total")
    for number in range(20):
        client.open("/things/1", method=f"M{number}")
    found = scrape(client)
    assert found.sum(TOTAL) == 0
    assert found.labels(TOTAL, "method") <= METHODS
    assert found.value("requests_unknown_method_total") - before == 20


def test_each_app_in_a_process_counts_its_own_requests(make_app: Callable[..., Flask]) -> None:
    first, second = add_routes(make_app()), add_routes(make_app())
    first.get("/things/1")
    second.get("/things/1")
    second.get("/things/2")
    assert scrape(first).sum(TOTAL) == 1
    assert scrape(second).sum(TOTAL) == 2


def test_the_pool_shows_what_is_in_use_and_what_is_idle(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        engine = db.engine
    with engine.connect(), engine.connect() as second:
        second.execute(text("SELECT 1"))
        busy = scrape(client)
        assert busy.value("db_pool_connections", state="in_use") == 2
    quiet = scrape(client)
    assert quiet.value("db_pool_connections", state="in_use") == 0
    assert quiet.value("db_pool_connections", state="idle") >= 2
