from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.blueprints.admin.overview import amount, in_words, log_link
from app.services.log_overview import WINDOWS, Figure
from tests.blueprints.admin.pages import page, rows
from tests.helpers import log_lines
from tests.log_records import failed_request, made, put

SCRIPT = "<script>alert(1)</script>"


def requests(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [made(action="request", route="/a", status=200, duration_ms=20.0, **fields)
            for _ in range(count)]  # fmt: skip


def test_what_is_over_its_threshold_stands_first_and_is_said_in_words(
    app: Flask, as_admin: FlaskClient
) -> None:
    put(app, *requests(3), *failed_request("r-1"))
    found = page(as_admin, "/admin?window=1h")
    said = found.one("p", class_="verdict").text
    assert said.startswith("1 of 10 figures is beyond its threshold")
    tiles = found.one("ul", class_="figures").every("li")
    assert tiles[0].one("h2").text == "Error rate"
    assert tiles[0].one("p", class_="figure-value").text == "25 %"
    assert "Over threshold" in tiles[0].one("p", class_="figure-state").text
    assert tiles[2].one("h2").text == "Response time"
    assert "p50 19.1 ms, p99" in tiles[2].one("p", class_="figure-note").text
    assert "OK" in tiles[2].one("p", class_="figure-state").text
    chart = tiles[0].one("svg", class_="spark")
    assert chart["role"] == "img"
    assert chart["aria-label"].endswith("Threshold 1 %.")
    link = urlsplit(tiles[0].every("a")[1]["href"])
    assert (link.path, parse_qs(link.query)) == (
        "/admin/logs", {"q": ["action:request status:5xx"], "range": ["1h"]},
    )  # fmt: skip


@pytest.mark.parametrize("window", WINDOWS)
def test_a_number_leads_to_exactly_the_records_that_it_was_counted_from(
    app: Flask, as_admin: FlaskClient, window: str
) -> None:
    mails = [made("mail", action=f"email_{word}") for word in ("sent", "failed")]
    put(app, *requests(2), *requests(3, ago=timedelta(minutes=7)), *mails, *failed_request("r-1"),
        *(made("login", action="login_failed", ago=timedelta(minutes=at)) for at in (1, 59, 63)),
        made("sample", action="sample", details={"memory_mb": 9}))  # fmt: skip
    tiles = page(as_admin, f"/admin?window={window}").one("ul", class_="figures").every("li")
    found = {tile.one("h2").text: len(rows(as_admin, tile.every("a")[0]["href"])) for tile in tiles}
    wanted = {"Requests": 3, "Error rate": 1, "Failed log-ins": 2, "E-mail failures": 1}
    assert {name: found[name] for name in wanted} == wanted
    assert found["Memory"] == 1


def test_all_within_their_thresholds_is_said_too(app: Flask, as_admin: FlaskClient) -> None:
    put(app, *requests(3))
    found = page(as_admin, "/admin")
    assert found.one("p", class_="verdict").text.startswith("All figures are within")
    assert found.one("a", **{"aria-current": "true"}).text.startswith("Last 24 hours")


def test_each_thing_that_stands_out_leads_to_where_it_happened(
    app: Flask, as_admin: FlaskClient
) -> None:
    stored = put(
        app,
        *failed_request("r-1", route="/demo/<error>"),
        made(action="slow_query", level="WARNING", statement=f"SELECT {SCRIPT}",
             duration_ms=1500.0, request_id="r-2"),
        made(action="request", request_id="r-3", details={"n_plus_one": [
            {"statement": "SELECT users", "line": "app/x.py:9", "count": 12}]}),
    )  # fmt: skip
    found = page(as_admin, "/admin?window=1h")
    links = {one["href"] for one in found.one("main").every("a")}
    assert {"/admin/requests/r-2", "/admin/requests/r-3"} <= links
    error = "/admin/errors/a1b2c3d4" if "admin.error" in app.view_functions else (
        f"/admin/logs/{stored[1]['id']}"
    )  # fmt: skip
    assert error in links
    with app.test_request_context():
        assert log_link("user:7", "1h") in links
    # Whatever the search language becomes, it understands them all.
    searches = {one for one in links if one.startswith("/admin/logs?")}
    # Sample tiles share theirs.
    assert len(searches) == 14 + 2
    slow = next(one for one in searches if "route:" in one)
    assert page(as_admin, slow).every("td", class_="cell-what")
    for link in searches:
        assert as_admin.get(link).status_code == 200, link
    assert SCRIPT in found.text


def test_an_empty_log_says_what_will_be_here(as_admin: FlaskClient) -> None:
    found = page(as_admin, "/admin?window=7d")
    assert found.one("div", class_="empty").one("a")["href"] == "/admin/?window=7d"
    # What is known without any record is still told.
    assert found.one("section", **{"aria-labelledby": "recorder"}).every("dd")


@pytest.mark.parametrize(
    ("asked", "shown"), [("6h", "6h"), ("30d", "30d"), ("1y", "24h"), ("", "24h")]
)
def test_the_window_is_in_the_address_and_what_is_none_is_a_day(
    app: Flask, as_admin: FlaskClient, asked: str, shown: str
) -> None:
    page(as_admin, f"/admin?window={asked}")
    assert [one["details"] for one in log_lines(app, "logs_viewed")] == [
        {"page": "overview", "window": shown}
    ]


def test_the_overview_is_no_n_plus_one_itself(app: Flask, as_admin: FlaskClient) -> None:
    put(app, *requests(3), *failed_request("r-1"))
    page(as_admin, "/admin")
    (own,) = [one for one in log_lines(app, "request") if one["path"] == "/admin"]
    assert "n_plus_one" not in own["details"]


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (None, "percent", ("-", "")),
        (0.25, "percent", ("0.25", "%")),
        (1234.5, "megabytes", ("1,234", "MB")),
        (2500.0, "ms", ("2.50", "s")),
        (2.97, "per hour", ("3", "an hour")),
        (0.0, "per minute", ("0", "a minute")),
    ],
)
def test_a_number_is_said_as_a_person_would(
    value: float | None, unit: str, said: tuple[str, str]
) -> None:
    assert amount(value, unit) == said


def test_a_chart_is_told_in_words() -> None:
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    points = [(noon + timedelta(hours=n), value) for n, value in enumerate([1.0, None, 3.0])]
    figure = Figure("error_rate", "percent", 3.0, noon, 1, True, False, None, {}, points)
    assert in_words(figure, WINDOWS["24h"], "1 %") == (
        "In the last 24 hours from 1 % to 3 %, the most at 23 Nov 14:00 UTC. Threshold 1 %."
    )
    nothing = Figure("error_rate", "percent", None, noon, 1, False, False, None, {}, [(noon, None)])
    assert in_words(nothing, WINDOWS["1h"], "1 %") == "Nothing known in the last hour."


def test_a_value_with_spaces_is_quoted_in_a_search(app: Flask) -> None:
    with app.test_request_context():
        found = log_link("route:{route}", "1h", route='/a "b"')
    asked = parse_qs(urlsplit(found).query)["q"]
    assert asked == ['route:"/a \\"b\\""']
