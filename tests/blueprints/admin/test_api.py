from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from app.blueprints.admin.api import PAGE_SIZE, PAGE_SIZE_MAX
from app.extensions import db
from tests.helpers import Account, log_lines, login
from tests.log_records import failed_request, made, put


@pytest.fixture
def as_admin(client: FlaskClient, admin: Account) -> FlaskClient:
    login(client, admin)
    return client


def ask(client: FlaskClient, address: str, status: int = 200) -> Any:
    answer = client.get(address)
    assert answer.status_code == status, answer.get_data(as_text=True)
    kind = "application/json" if status == 200 else "application/problem+json"
    assert answer.content_type == kind
    return answer.get_json()


def messages(answer: Any) -> list[str]:
    return [one["message"] for one in answer["records"]]


def test_strangers_and_ordinary_users_are_refused(client: FlaskClient, user: Account) -> None:
    assert ask(client, "/api/logs", 401)["status"] == 401
    login(client, user)
    assert ask(client, "/api/logs", 403)["status"] == 403


def test_pages_follow_one_another_and_keep_the_filters(app: Flask, as_admin: FlaskClient) -> None:
    put(app, *(made(f"number {number}", route="/a b") for number in range(PAGE_SIZE + 5)), made())
    seen: list[str] = []
    address = "/api/logs?q=route:%22/a%20b%22+level:info"
    while address:
        page = ask(as_admin, address)
        seen += messages(page)
        address = page["next"]
    assert seen == [f"number {number}" for number in reversed(range(PAGE_SIZE + 5))]
    assert page["looked_back_to"] is None
    assert len(ask(as_admin, "/api/logs?limit=3")["records"]) == 3


def test_a_record_is_the_one_of_the_store(app: Flask, as_admin: FlaskClient) -> None:
    stored = put(app, *failed_request("r-1"))
    found = ask(as_admin, "/api/logs?q=request:r-1+level:error")["records"]
    with app.app_context():
        assert found == [app.extensions["log_store"].get(stored[1]["id"])]


def test_a_search_that_ran_out_of_time_says_how_far_it_looked_and_goes_on(
    app: Flask, as_admin: FlaskClient
) -> None:
    put(app, made("needle"), *(made("hay") for _ in range(3000)))
    app.extensions["log_store"]._deadline = 0
    page = ask(as_admin, "/api/logs?q=needle")
    assert page["records"] == []
    assert page["looked_back_to"].startswith("20")
    while not page["records"]:
        page = ask(as_admin, page["next"])
    assert messages(page) == ["needle"]


@pytest.mark.parametrize(
    "name",
    ["q", "range", "from", "to", "before", "limit"],
)
def test_bad_input_is_named_in_problem_details(as_admin: FlaskClient, name: str) -> None:
    problem = ask(as_admin, f"/api/logs?{name}=%00<x>", 422)
    assert set(problem["errors"]) == {name}
    assert problem["request_id"]


@pytest.mark.parametrize(
    "limit", ["0", "-1", "1.5", str(PAGE_SIZE_MAX + 1), "9" * 5000, "0" * 9 + "1", "²", ""]
)
def test_a_limit_is_a_whole_number_within_bounds(as_admin: FlaskClient, limit: str) -> None:
    assert "limit" in ask(as_admin, f"/api/logs?limit={limit}", 422)["errors"]


@pytest.mark.parametrize("end", ["from", "to"])
def test_a_range_and_an_end_of_its_own_contradict_each_other(
    as_admin: FlaskClient, end: str
) -> None:
    address = f"/api/logs?{end}=2026-11-23T18:30&range="
    assert "range" in ask(as_admin, f"{address}1h", 422)["errors"]
    assert ask(as_admin, f"{address}custom", 200)["next"] is None


def test_each_view_is_an_event_without_the_text(app: Flask, as_admin: FlaskClient) -> None:
    ask(as_admin, "/api/logs?q=hunter2+level:error")
    problem = ask(as_admin, "/api/logs?q=a+lvel:x", 422)
    assert problem["detail"] == "At character 3: There is no key lvel. Did you mean level?"
    (view,) = log_lines(app, "logs_viewed")
    assert view["details"] == {
        "page": "api", "filters": {"keys": "level", "text_length": "7"},
    }  # fmt: skip


def test_a_store_that_does_not_answer_is_a_503(app: Flask, as_admin: FlaskClient) -> None:
    with app.app_context(), db.engines["logs"].begin() as connection:
        connection.execute(text("DROP TABLE logs"))
    assert "log store" in ask(as_admin, "/api/logs", 503)["detail"]
    assert len(log_lines(app, "error")) == 1
