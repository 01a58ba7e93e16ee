from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.blueprints.admin.security import security
from tests.blueprints.admin.pages import page
from tests.helpers import Account, log_lines, login
from tests.log_records import made, put

SCRIPT = "<script>alert(1)</script>"


def failed(account: str, address: str, **fields: Any) -> dict[str, Any]:
    return made("login failed", level="WARNING", action="login_failed", account=account,
                remote_addr=address, details={"reason": "wrong_password"}, **fields)  # fmt: skip


def test_guessing_is_on_top_and_each_row_leads_to_its_records(
    app: Flask, as_admin: FlaskClient
) -> None:
    put(app, *(failed("bob@b.c", f"10.0.0.{n}", ago=timedelta(minutes=9)) for n in range(12)),
        made("login", action="login", account="bob@b.c"),
        made("request", action="request", status=403, route="/admin", account="u@b.c"))  # fmt: skip
    found = page(as_admin, f"/admin/{security.__name__}?window=7d")
    assert "one got in after many failures" in found.one("div", class_="alert-danger").text
    first = found.every("tbody")[0].one("tr")
    assert first.one("a")["href"] == ("/admin/logs?q=action:login_failed+account:bob@b.c&range=7d")
    assert [one.text for one in first.every("td", class_="amount")] == ["12", "12"]
    assert {one.text.split(",")[0] for one in first.every("span", class_="tag")} == {
        "got in just now", "from many addresses",
    }  # fmt: skip
    links = [link["href"] for link in found.every("a")]
    assert "/admin/logs?q=status:403+account:u@b.c+route:/admin&range=7d" in links


def test_an_attempt_is_recorded_with_its_address(
    app: Flask, client: FlaskClient, user: Account, admin: Account
) -> None:
    client.post("/auth/login", data={"email": user.email, "password": "wrong"})
    login(client, admin)
    client.get("/admin/security")
    for action in ("login_failed", "login", "logs_viewed"):
        assert log_lines(app, action)[0]["remote_addr"] == "127.0.0.1", action


def test_programs_get_the_same(app: Flask, as_admin: FlaskClient) -> None:
    put(app, failed("bob@b.c", "10.0.0.1"), made("x", action="role_changed"),
        made("r", action="request", status=429, route="/auth/login"))  # fmt: skip
    told = as_admin.get("/api/logs/security").json
    assert told["failed_by_account"][0]["name"] == "bob@b.c"
    assert told["failed_by_address"][0]["reasons"] == {"wrong_password": 1}
    assert [(one["status"], one["count"]) for one in told["refused"]] == [(429, 1)]
    assert told["changes"][0]["action"] == "role_changed"
    assert set(told["complete_since"].values()) == {None}
    refused = as_admin.get("/api/logs/security?window=x")
    assert (refused.status_code, refused.json["errors"].keys()) == (400, {"window"})
    shown = as_admin.get("/admin/security?window=x")
    assert (shown.status_code, "<strong>window</strong>" in shown.text) == (400, True)
    # In the head and as the heading, and not once more below it.
    assert shown.text.count("The request could not be understood") == 2


@pytest.mark.parametrize("action", ["login_failed", "request", "logs_exported", "role_changed"])
def test_markup_in_any_field_is_shown_as_text(
    app: Flask, as_admin: FlaskClient, action: str
) -> None:
    fields = dict.fromkeys(
        ("account", "remote_addr", "route", "target_type", "target_id", "outcome"), SCRIPT
    )
    details = {"reason": SCRIPT, "role": SCRIPT}
    put(app, made(SCRIPT, action=action, status=403, details=details, **fields))
    html = as_admin.get("/admin/security").get_data(as_text=True)
    assert "<script>alert" not in html
    assert "&lt;script&gt;" in html


def test_a_stranger_is_not_taken_for_the_account_that_was_tried(
    app: Flask, as_admin: FlaskClient
) -> None:
    tried = {"action": "register", "outcome": "refused", "account": "bob@b.c"}
    put(app, made("register", route="/auth/register", **tried),
        made("role changed", action="role_changed", account="a@b.c", user_id="1", route="/admin"),
        made("tokens revoked", action="tokens_revoked"))  # fmt: skip
    table = page(as_admin, "/admin/security").every("table")[-1]
    by = {row.every("td")[0].one("a").text: row.every("td")[1].text
          for row in table.one("tbody").every("tr")}  # fmt: skip
    assert by == {
        "register": "nobody logged in", "role changed": "a@b.c", "tokens revoked": "a command",
    }  # fmt: skip
