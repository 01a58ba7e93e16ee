import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.alerting import check_error_rate
from app.blueprints.admin.alerts import alerts
from tests.blueprints.admin.pages import facts, page
from tests.log_records import failed_request, made, put


def test_a_rule_shows_its_state_and_what_is_behind_it(app: Flask, as_admin: FlaskClient) -> None:
    assert app.view_functions["admin.alerts"] is alerts
    before = page(as_admin, "/admin/alerts").one("section", class_="alert-rule")
    assert "Not checked yet" in before.text
    put(app, *(one for number in range(11) for one in failed_request(f"r-{number}")))
    with app.app_context():
        check_error_rate()
    rule = page(as_admin, "/admin/alerts").one("section", class_="alert-rule")
    assert rule.one("h2").text == "Firing Errors per hour"
    assert facts(rule, "facts-list")["Last measured"] == "11"
    # With nobody to mail to it counts as told, but no mail has left.
    told = page(as_admin, "/admin/alerts")
    assert "Last mail (UTC)" not in told.one("section", class_="alert-rule").text
    link = rule.one("a")["href"]
    assert len(page(as_admin, link).every("td", class_="cell-what")) == 11


@pytest.mark.parametrize(("mailed", "said"), [(True, "sent"), (False, "not sent")])
def test_the_history_says_whether_the_mail_went_and_when_the_last_one_did(
    app: Flask, as_admin: FlaskClient, mailed: bool, said: str
) -> None:
    [told] = put(
        app,
        made("alert", action="alert_firing", details={"subject": "<b>", "mailed": mailed}),
    )
    section = page(as_admin, "/admin/alerts").one("section", **{"aria-labelledby": "told"})
    cells = section.one("table").one("tbody").every("td")
    assert [cell.text for cell in cells[1:]] == ["<b>", said]
    last = section.one("p").text
    assert (told["timestamp"][11:19] in last) == mailed
    assert last.startswith("Last mail (UTC): ")


def test_the_page_says_when_nobody_is_told(as_admin: FlaskClient) -> None:
    said = [
        one.text for one in page(as_admin, "/admin/alerts").every("div", class_="alert-warning")
    ]
    assert any("SMTP_HOST and ALERT_RECIPIENTS are set" in text for text in said)
