from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.blueprints.admin.around import record_context
from tests.blueprints.admin.pages import page
from tests.helpers import log_lines
from tests.html_page import read_page
from tests.log_records import failed_request, made, put

SCRIPT = "<script>alert(1)</script>"


def test_a_row_opens_in_place_with_what_its_page_has(app: Flask, as_admin: FlaskClient) -> None:
    record = put(app, *failed_request("r-1", account=SCRIPT))[1]
    address = f"/admin/logs/{record['id']}"
    text = as_admin.get(f"{address}/inline").get_data(as_text=True)
    row, opened = read_page(f"<table>{text}</table>").every("tr")[:2]
    assert (row["id"], opened["id"]) == (record["id"], f"open-{record['id']}")
    whole = page(as_admin, address)
    assert [one.text for one in opened.every("dd")] == [one.text for one in whole.every("dd")]
    assert opened.one("div", class_="traceback")
    assert not opened.every("script")
    links = [urlsplit(link["href"]).path for link in opened.every("a")]
    assert {address, f"{address}/context", "/admin/requests/r-1"} <= set(links)
    views = [one["details"] for one in log_lines(app, "logs_viewed")]
    assert views == [{"page": "record", "record_id": record["id"]}] * 2


def test_the_context_marks_its_record_and_keeps_the_choice_in_the_address(
    app: Flask, as_admin: FlaskClient
) -> None:
    stored = put(app, made("before", host="a"), made("middle", host="a", request_id="r-1"),
                 made("after", host="b"))  # fmt: skip
    address = f"/admin/logs/{stored[1]['id']}/context"
    found = page(as_admin, address)
    rows = found.one("tbody").every("tr")
    assert [row["id"] for row in rows] == [one["id"] for one in reversed(stored)]
    assert [row.attributes.get("aria-current") for row in rows] == [None, "true", None]
    links = {
        link.text: link["href"] for link in found.one("nav", class_="context-choices").every("a")
    }
    assert list(links) == ["Of everything", "Of the same host", "Of the same request"]
    near = page(as_admin, links["Of the same host"]).one("tbody").every("tr")
    assert [row["id"] for row in near] == [stored[1]["id"], stored[0]["id"]]
    assert record_context.__name__ == "record_context"


@pytest.mark.parametrize("address", ["1/inline", "1/context", "%00/context", "{}/context?of=host"])
def test_what_is_not_there_is_a_404(app: Flask, as_admin: FlaskClient, address: str) -> None:
    record = put(app, made())[0]
    assert as_admin.get(f"/admin/logs/{address.format(record['id'])}").status_code == 404


def test_programs_get_the_record_its_neighbours_and_its_request(
    app: Flask, as_admin: FlaskClient
) -> None:
    stored = put(app, *failed_request("r-1"))
    ids = [one["id"] for one in stored]

    def ask(address: str) -> Any:
        return as_admin.get(f"/api/logs/{address}").json

    assert ask(ids[1])["record"]["id"] == ids[1]
    near = ask(f"{ids[1]}/context?of=request")
    assert [one["id"] for one in (*near["after"], near["record"], *near["before"])] == ids[::-1]
    assert [one["id"] for one in ask("requests/r-1")["records"]] == ids
    assert [one["details"]["page"] for one in log_lines(app, "logs_viewed")] == [
        "api record", "api context", "api request",
    ]  # fmt: skip
