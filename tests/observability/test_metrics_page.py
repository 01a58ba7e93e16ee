from collections.abc import Iterator

import prometheus_client
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.observability.metrics_page import show_metrics
from tests.exposition import scrape
from tests.helpers import log_lines


def test_the_page_is_plain_text_that_prometheus_parses(client: FlaskClient) -> None:
    answer = client.get("/metrics")
    assert client.application.view_functions["metrics"].__wrapped__ is show_metrics
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    found = scrape(client)
    assert found.types["process_cpu_seconds"] == "counter"
    assert found.types["item_operations"] == "counter"
    assert found.types["db_query_duration_seconds"] == "histogram"


def test_names_in_the_query_pick_series(client: FlaskClient) -> None:
    found = scrape(client, **{"name[]": ["process_cpu_seconds_total", "disk_free_ratio"]})
    assert found.names() == {"process_cpu_seconds_total", "disk_free_ratio"}


def test_unknown_names_give_an_empty_page(client: FlaskClient) -> None:
    assert scrape(client, **{"name[]": ["nothing", "\x00", ""]}).names() == set()


@pytest.mark.parametrize(
    "accept",
    ["application/openmetrics-text; version=x", "text/plain; version=x", "\xff", "*/*", ""],
)
def test_any_accept_header_gets_the_page(client: FlaskClient, accept: str) -> None:
    answer = client.get("/metrics", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain; version=0.0.4")


def test_reading_the_page_is_neither_counted_nor_logged(app: Flask, client: FlaskClient) -> None:
    for _ in range(3):
        scrape(client)
    assert scrape(client).sum("flask_http_request_total") == 0
    assert log_lines(app, "request") == []


@pytest.mark.settings(METRICS_TOKEN="a-token-for-prometheus")
@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer wrong", "Bearer a-token-for-prometheu", "Bearer \xfc\xdf",
     "Basic a-token-for-prometheus", "a-token-for-prometheus"],
)  # fmt: skip
def test_a_wrong_token_is_turned_away(client: FlaskClient, header: str | None) -> None:
    answer = client.get("/metrics", headers={} if header is None else {"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="metrics"'
    assert b"process_" not in answer.data


@pytest.mark.settings(METRICS_TOKEN="a-token-for-prometheus")
def test_the_right_token_is_let_in(client: FlaskClient) -> None:
    headers = {"Authorization": "Bearer a-token-for-prometheus"}
    assert client.get("/metrics", headers=headers).status_code == 200


@pytest.fixture
def others_counter() -> Iterator[prometheus_client.Counter]:
    counter = prometheus_client.Counter("made_by_a_new_feature_total", "A feature's own.")
    yield counter
    prometheus_client.REGISTRY.unregister(counter)


def test_a_metric_made_the_usual_way_is_shown_too(
    client: FlaskClient, others_counter: prometheus_client.Counter
) -> None:
    others_counter.inc(3)
    assert scrape(client).value("made_by_a_new_feature_total") == 3
