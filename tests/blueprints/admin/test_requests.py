from datetime import timedelta
from functools import partial

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.blueprints.admin.requests import request_story
from app.services import log_service
from tests.blueprints.admin.pages import facts, page
from tests.log_records import failed_request, made, put


def test_a_request_is_told_from_its_first_statement_to_its_answer(
    app: Flask, as_admin: FlaskClient
) -> None:
    put(app, *failed_request("r-1"), made("another's", request_id="r-2"))
    found = page(as_admin, "/admin/requests/r-1")
    summary = facts(found, "facts-list")
    assert found.one("p", class_="summary-line").text == "GET /demo/error"
    assert summary["Duration"] == "45.5 ms"
    assert summary["Database"] == "8 SQL in 13.5 ms"
    assert summary["User"] == "ann@example.com"
    assert summary["Status"].split()[-1] == "500"
    steps = found.one("ol", class_="timeline").every("li")
    kinds = [step.every("span", class_="tag")[0].text for step in steps]
    assert sorted(kinds) == ["ERROR", "INFO", "INFO", "SQL", "SQL"]
    assert kinds[-1] == "INFO"
    assert found.one("div", class_="traceback")


def test_a_long_story_says_what_it_leaves_out_and_where(
    app: Flask, as_admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(app, *(made(f"step {n}", request_id="r-1", ago=timedelta(seconds=9 - n)) for n in range(9)))
    few = partial(log_service.request_story, limit=4)
    monkeypatch.setattr(log_service, "request_story", few)
    found = page(as_admin, "/admin/requests/r-1")
    assert "first 2 and the last 2 records; 5 between" in found.one("p", class_="looked-back").text
    steps = found.one("ol", class_="timeline").every("li")
    said = ["left out" in step.text for step in steps]
    assert said == [False, False, True, False]
    assert "5 records" in steps[2].text
    assert "step 7" in steps[2].text


def test_a_request_s_page_names_its_probable_n_plus_one(app: Flask, as_admin: FlaskClient) -> None:
    repeated = {"statement": "SELECT <users>", "line": "app/x.py:9", "count": 12}
    details = {"n_plus_one": [repeated, "?"], "queries": [{**repeated, "n_plus_one": True}]}
    put(app, made("request", request_id="r-1", action="request", status=200, details=details))
    found = page(as_admin, "/admin/requests/r-1")
    said = found.one("section", class_="summary").one("p", class_="quiet").text
    assert said.startswith("Probable N+1: asked 12 times from app/x.py:9")
    assert said.endswith("SELECT <users>")
    steps = found.one("ol", class_="timeline").every("li")
    assert ["probable N+1" in step.text for step in steps] == [False, True]


def test_every_request_id_of_a_page_leads_here(app: Flask) -> None:
    assert app.view_functions["admin.request_story"] is request_story


def test_an_id_without_records_says_that_it_may_take_a_moment(as_admin: FlaskClient) -> None:
    empty = page(as_admin, "/admin/requests/not-yet", 404).one("div", class_="empty")
    assert empty.one("a")["href"] == "/admin/requests/not-yet"


def test_the_search_box_goes_straight_to_the_request(as_admin: FlaskClient) -> None:
    form = page(as_admin, "/admin/logs").one("form", class_="jump")
    name = form.one("input")["name"]
    answer = as_admin.get(form["action"], query_string={name: "  r-1 "})
    assert answer.location == "/admin/requests/r-1"
    assert as_admin.get(form["action"]).location == "/admin/logs"


def test_the_search_box_says_what_is_no_request_id(as_admin: FlaskClient) -> None:
    found = page(as_admin, "/admin/requests?request_id=a/%00b", 400)
    box = found.one("input", id="jump")
    assert (box["aria-invalid"], box["value"]) == ("true", "a/\x00b")
    assert found.one("div", id=box["aria-describedby"]).text
    assert as_admin.get("/admin/requests/a%20b").status_code == 404


def test_a_request_leads_to_the_same_user_s_requests_before_and_after(
    app: Flask, as_admin: FlaskClient
) -> None:
    for name, user in (("r-1", "7"), ("r-2", "8"), ("r-3", "7"), ("r-4", "7")):
        put(app, *failed_request(name, user_id=user))
    links = page(as_admin, "/admin/requests/r-3").one("nav", class_="neighbours").every("a")
    assert [link["href"] for link in links] == ["/admin/requests/r-1", "/admin/requests/r-4"]
    put(app, made("nobody's", request_id="r-5", action="request"))
    assert not page(as_admin, "/admin/requests/r-5").every("nav", class_="neighbours")


def test_a_request_shows_the_jobs_that_it_caused(app: Flask, as_admin: FlaskClient) -> None:
    put(app, *failed_request("r-1"))
    put(app, made("done later", request_id="job-1", parent_request_id="r-1"), made("another's"))
    caused = page(as_admin, "/admin/requests/r-1").one("section", **{"aria-labelledby": "caused"})
    assert "done later" in caused.text
    assert [link["href"] for link in caused.every("a", class_="id")] == ["/admin/requests/job-1"]


def test_two_requests_under_one_id_each_name_their_own_user(
    app: Flask, as_admin: FlaskClient
) -> None:
    for user, account in (("7", "ann@example.com"), ("8", "eve@example.com")):
        put(app, made("request", request_id="r-1", action="request", method="GET", path="/",
                      status=200, user_id=user, account=account))  # fmt: skip
    summaries = page(as_admin, "/admin/requests/r-1").every("section", class_="summary")
    assert [facts(one, "facts-list")["User"] for one in summaries] == [
        "ann@example.com", "eve@example.com",
    ]  # fmt: skip
