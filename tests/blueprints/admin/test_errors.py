from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.blueprints.admin.errors import bars, in_words, is_fingerprint, outline
from tests.blueprints.admin.pages import facts, page
from tests.helpers import Account, log_lines
from tests.log_records import failed_request, made, put

SCRIPT = "<script>alert(1)</script>"
ERROR = "/admin/errors/a1b2c3d4"


def test_an_error_is_one_line_however_often_it_happened(app: Flask, as_admin: FlaskClient) -> None:
    put(app, *(one for number in range(3) for one in failed_request(f"r-{number}", release="1.2")))
    row = page(as_admin, "/admin/errors").one("tbody").one("tr")
    assert row.one("a", class_="headline").text == "KeyError 'x'"
    assert row.one("a", class_="headline")["href"] == f"{ERROR}?window=24h"
    assert row.one("code").text == "app/services/item_service.py:42 in create"
    assert row.one("td", class_="cell-times").text == "Times 3"
    assert row.one("td", class_="cell-users").text == "Users 1"
    assert "release 1.2" in row.one("td", class_="cell-first").text
    assert row.one("svg")["aria-label"].endswith(", 3")


def test_one_error_shows_our_frames_and_folds_the_others(app: Flask, as_admin: FlaskClient) -> None:
    put(app, *failed_request("r-1"))
    found = page(as_admin, ERROR)
    assert found.one("pre", class_="ours").text.startswith('File "/srv/app/services/item_service')
    assert "flask/app.py" in found.one("div", class_="frames").one("details").one("pre").text
    hrefs = [link["href"] for link in found.one("nav", class_="related").every("a")]
    assert hrefs[0] == "/admin/requests/r-1"
    assert hrefs[2] == "/admin/logs?q=error:a1b2c3d4"
    assert facts(found, "facts-list")["Users hit"] == "1"
    hit = [link for one in found.every("ul", class_="hits") for link in one.every("a")]
    assert [one.text for one in hit] == ["ann@example.com", "/demo/error"]
    assert hit[0]["href"] == "/admin/logs?q=error:a1b2c3d4+user:ann@example.com"


def test_resolving_shows_it_as_resolved_and_a_return_opens_it_again(
    app: Flask, as_admin: FlaskClient, admin: Account
) -> None:
    put(app, *failed_request("r-1"))
    answer = as_admin.post(f"{ERROR}?window=7d")
    assert answer.location == f"{ERROR}?window=7d"
    found = page(as_admin, ERROR)
    assert found.one("span", class_="state-resolved")
    assert not found.every("button", class_="btn-primary")
    assert admin.email in found.text
    assert not page(as_admin, "/admin/errors").every("tbody")
    put(app, *failed_request("r-2"))
    assert page(as_admin, "/admin/errors").one("span", class_="state-reopened")
    assert log_lines(app, "error_resolved")[0]["user_id"] == str(admin.id)


def test_what_was_resolved_is_taken_back_by_a_button(app: Flask, as_admin: FlaskClient) -> None:
    put(app, *failed_request("r-1"))
    as_admin.post(ERROR)
    form = page(as_admin, ERROR).one("div", class_="page-actions").one("form")
    assert as_admin.post(form["action"]).location == f"{ERROR}?window=24h"
    assert page(as_admin, ERROR).one("span", class_="state-open")
    assert log_lines(app, "error_reopened")[0]["target_id"] == "a1b2c3d4"
    # Who presses it twice is told, and nothing breaks.
    assert as_admin.post(form["action"]).status_code == 404


def test_resolving_needs_the_form_s_own_token(app: Flask, as_admin: FlaskClient) -> None:
    put(app, *failed_request("r-1"))
    app.config["WTF_CSRF_ENABLED"] = True
    assert as_admin.post(ERROR).status_code == 400
    assert not log_lines(app, "error_resolved")
    token = page(as_admin, ERROR).one("div", class_="page-actions").one("input")["value"]
    assert as_admin.post(ERROR, data={"csrf_token": token}).status_code == 302


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/admin/errors?window=2h", 400),
        ("/admin/errors?state=%00", 400),
        (f"{ERROR}?window=x", 400),
        (f"{ERROR}?before=x", 404),
        ("/admin/errors/aa", 404),
        ("/admin/errors/'", 404),
    ],
)
def test_a_damaged_address_is_told(
    app: Flask, as_admin: FlaskClient, address: str, status: int
) -> None:
    put(app, *failed_request("r-1"))
    assert as_admin.get(address).status_code == status


def test_markup_in_any_field_is_shown_as_text(app: Flask, as_admin: FlaskClient) -> None:
    fields: dict[str, Any] = dict.fromkeys(
        ("request_id", "account", "route", "path", "host", "release", "method", "logger"), SCRIPT
    )
    exception = dict.fromkeys(("type", "message", "traceback"), SCRIPT)
    for fingerprint in (SCRIPT, "abc"):
        put(app, made(SCRIPT, level=SCRIPT, exception={**exception, "fingerprint": fingerprint},
                      details={"place": SCRIPT}, **fields))  # fmt: skip
    for address, times in (("/admin/errors", 10), ("/admin/errors/abc", 12)):
        html = as_admin.get(address).get_data(as_text=True)
        assert "<script>alert" not in html
        assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= times


def test_an_empty_list_leads_further_back(as_admin: FlaskClient) -> None:
    for state in ("open", "resolved"):
        empty = page(as_admin, f"/admin/errors?state={state}").one("div", class_="empty")
        assert empty.one("a")["href"] == "/admin/errors?window=30d&state=all"


def test_a_bar_of_few_is_still_seen() -> None:
    start = datetime(2026, 11, 25, tzinfo=UTC)
    starts = [start + timedelta(hours=hour) for hour in range(3)]
    assert bars([0, 1, 1000], starts) == [
        (starts[0], 0, 0), (starts[1], 1, 6), (starts[2], 1000, 100),
    ]  # fmt: skip
    assert outline([0, 1, 1000]) == "M4 102v-6h3v6zM8 102v-100h3v100z"
    assert in_words("A day", [0, 1, 1000], starts) == "A day: most at 2026-11-25 02:00 UTC, 1,000"
    assert in_words("A day", [0, 0, 0], starts) == "A day: none"
    assert is_fingerprint("0123456789abcdef")
    assert not is_fingerprint(SCRIPT)
