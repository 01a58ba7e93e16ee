import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.blueprints.admin.errors_api import errors
from tests.helpers import Account, log_lines, login
from tests.log_records import failed_request, put


def test_programs_get_what_the_pages_show(app: Flask, as_admin: FlaskClient) -> None:
    stored = [one for number in range(21) for one in failed_request(f"r-{number}", release="1.2")]
    put(app, *stored)
    as_admin.post("/admin/errors/a1b2c3d4")
    assert as_admin.get("/api/logs/errors").json["errors"] == []
    listed = as_admin.get("/api/logs/errors?state=all&window=7d").json["errors"]
    answer = as_admin.get("/api/logs/errors/a1b2c3d4?window=7d")
    assert answer.headers["Cache-Control"] == "no-store"
    assert listed == [answer.json["error"]]
    told = listed[0]
    assert (told["type"], told["state"], told["count"], told["users"], told["first_release"]) == (
        "KeyError", "resolved", 21, 1, "1.2",
    )  # fmt: skip
    assert answer.json["hits"]["routes"] == [{"value": "/demo/error", "count": 21}]
    older = as_admin.get(f"/api/logs/errors/a1b2c3d4?before={answer.json['next']}").json
    assert [one["id"] for one in older["occurrences"]] == [stored[1]["id"]]
    views = [view["details"]["page"] for view in log_lines(app, "logs_viewed")]
    assert views == ["api errors", "api errors", "api error", "api error"]


@pytest.mark.parametrize(
    ("address", "status", "named"),
    [
        ("?window=2h", 400, {"window"}), ("?state=x", 400, {"state"}), ("/aa", 404, set()),
        ("/%00", 404, set()), ("/aa?before=x", 400, {"before"}),
    ],
)  # fmt: skip
def test_a_damaged_address_is_told_as_a_problem(
    as_admin: FlaskClient, address: str, status: int, named: set[str]
) -> None:
    answer = as_admin.get(f"/api/logs/errors{address}")
    assert (answer.status_code, answer.json["status"]) == (status, status)
    assert answer.json.get("errors", {}).keys() == named


def test_only_administrators_are_answered(client: FlaskClient, user: Account) -> None:
    assert client.get("/api/logs/errors").status_code == 401
    login(client, user)
    assert client.get(f"/api/logs/{errors.__name__}").status_code == 403
