import csv
import io
import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.blueprints.admin.export import export_logs
from app.logstore.contract import LogQuery, StoreUnavailable
from app.services import log_export
from tests.helpers import log_lines
from tests.log_records import failed_request, made, put


@pytest.mark.parametrize("address", ["/admin/logs/export", "/api/logs/export"])
def test_exactly_what_is_filtered_is_sent_as_lines_and_as_a_table(
    app: Flask, as_admin: FlaskClient, address: str
) -> None:
    put(app, *(made(f"n {n}", level="ERROR") for n in range(700)), made("fine"),
        *failed_request("r-1"))  # fmt: skip
    with app.app_context():
        query = LogQuery(levels=("ERROR",))
        every = app.extensions["log_store"].page(query, None, 2000).records
    answer = as_admin.get(f"{address}?q=level:error&format=ndjson")
    told = [{k: v for k, v in one.items() if v is not None} for one in every]
    assert [json.loads(line) for line in answer.text.splitlines()] == told
    assert answer.content_type == "application/x-ndjson"
    table = as_admin.get(f"{address}?q=level:error&format=csv")
    rows = list(csv.DictReader(io.StringIO(table.text, newline="")))
    assert [row["id"] for row in rows] == [one["id"] for one in every]
    assert rows[0]["exception_type"] == "KeyError"
    assert table.headers["Content-Disposition"].endswith("Z.csv")


def test_an_export_is_recorded_before_its_first_byte_and_nothing_holds_it_back(
    app: Flask, as_admin: FlaskClient
) -> None:
    put(app, *(made(f"secret {n}") for n in range(1200)))
    answer = as_admin.get(
        "/admin/logs/export?q=secret+-level:error&format=csv&range=1h",
        headers={"Accept-Encoding": "gzip, br, zstd"},
        buffered=False,
    )
    (event,) = log_lines(app, "logs_exported")
    assert event["details"] == {"format": "csv", "filters": {
        "keys": "-level", "text_length": "6", "range": "1h",
    }}  # fmt: skip
    assert answer.headers["Content-Encoding"] == "identity"
    # The head of the table, then a piece for each page.
    assert [chunk.count(b"\n") for chunk in answer.response] == [1, 500, 500, 200]


def test_a_store_that_fails_on_the_way_ends_the_stream_without_an_end(
    app: Flask, as_admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(app, *(made(f"n {n}") for n in range(700)))
    answer = as_admin.get("/admin/logs/export", buffered=False)
    chunks = iter(answer.response)
    assert next(chunks).count(b"\n") == 500

    def fail(*_: Any) -> Any:
        raise StoreUnavailable

    monkeypatch.setattr(app.extensions["log_store"], "page", fail)
    with pytest.raises(StoreUnavailable):
        next(chunks)
    answer.close()
    (error,) = log_lines(app, "error")
    assert error["path"] == "/admin/logs/export"
    assert error["exception"]["type"].endswith(".StoreUnavailable")
    (request,) = [one for one in log_lines(app, "request") if one["path"] == "/admin/logs/export"]
    assert request["outcome"] == "aborted"


def test_the_rest_of_what_was_cut_is_behind_the_address_it_names(
    app: Flask, as_admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(app, made("bad", level="ERROR"), *(made(f"n {n}") for n in range(600)))
    monkeypatch.setattr(log_export, "MOST_RECORDS", 500)
    lines = as_admin.get("/admin/logs/export?range=1h&q=-level:error").text.splitlines()
    address = json.loads(lines.pop())["cut"].partition(" is at ")[2]
    # An hour back from then, not from when the rest is asked for.
    assert "range=" not in address
    rest = as_admin.get(address).text.splitlines()
    found = [json.loads(line)["message"] for line in (*lines, *rest)]
    assert found == [f"n {n}" for n in range(599, -1, -1)]


def test_what_cannot_be_read_is_not_exported(app: Flask, as_admin: FlaskClient) -> None:
    assert export_logs.__name__ == "export_logs"
    assert as_admin.get("/admin/logs/export?q=level:x").status_code == 400
    assert as_admin.get("/admin/logs/export?format=xml").status_code == 400
    problem = as_admin.get("/api/logs/export?q=level:x&format=xml")
    assert (problem.status_code, set(problem.json["errors"])) == (422, {"q", "format"})
    assert log_lines(app, "logs_exported") == []
