import csv
import io
import json
from typing import Any

import pytest
from flask import Flask

from app.services import log_export
from app.services.log_export import COLUMNS, csv_lines, json_line, stream
from app.services.log_service import LogQuery
from tests.log_records import failed_request, made, put


def taken(app: Flask, form: str, query: LogQuery, before: str | None = None) -> str:
    with app.app_context():
        pieces = stream(query, form, before, lambda record_id: f"/there?before={record_id}")
    # Read as a server does: the app's context has gone.
    return b"".join(pieces).decode()


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_all_pages_are_taken_and_each_record_once(app: Flask, form: str) -> None:
    put(app, *(made(f"hay {number}") for number in range(1300)), made("straw"))
    text = taken(app, form, LogQuery(texts=("hay",)))
    found = (
        [json.loads(line) for line in text.splitlines()]
        if form == "ndjson"
        else list(csv.DictReader(io.StringIO(text, newline="")))
    )
    assert [one["message"] for one in found] == [f"hay {n}" for n in range(1299, -1, -1)]


@pytest.mark.parametrize("name", ["MOST_RECORDS", "MOST_SECONDS"])
@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_what_is_cut_says_so_and_where_the_rest_is(
    app: Flask, monkeypatch: pytest.MonkeyPatch, name: str, form: str
) -> None:
    put(app, *(made(f"n {number}") for number in range(600)))
    monkeypatch.setattr(log_export, name, 0)
    lines = taken(app, form, LogQuery()).splitlines()
    said = json.loads(lines[-1])["cut"] if form == "ndjson" else lines[-1]
    assert "cut after 500 records; the rest is at /there?before=" in said
    monkeypatch.undo()
    rest = taken(app, "ndjson", LogQuery(), said.strip('"').rpartition("=")[2]).splitlines()
    assert [json.loads(line)["message"] for line in rest] == [f"n {n}" for n in range(99, -1, -1)]


def test_a_text_search_goes_on_where_its_time_ran_out(app: Flask) -> None:
    put(app, made("needle"), *(made("hay") for _ in range(3000)))
    app.extensions["log_store"]._deadline = 0
    assert "needle" in taken(app, "ndjson", LogQuery(texts=("needle",)))


def test_a_table_has_all_columns_and_no_formula(app: Flask) -> None:
    record = put(app, *failed_request("r-1", path="=1+1"))[1]
    with app.app_context():
        stored: dict[str, Any] = app.extensions["log_store"].get(record["id"])
    (row,) = csv.DictReader(io.StringIO("\n".join(csv_lines([stored])), newline=""))
    assert tuple(row) == COLUMNS
    assert (row["path"], row["exception_type"]) == ("'=1+1", "KeyError")


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_line_end_in_a_field_makes_no_row_of_its_own(app: Flask, end: str) -> None:
    put(app, made(f"first{end}=HYPERLINK(1){end}last"))
    (row,) = csv.DictReader(io.StringIO(taken(app, "csv", LogQuery()), newline=""))
    assert row["message"] == f"first{end}=HYPERLINK(1){end}last"


def test_what_a_record_has_not_is_not_in_its_line() -> None:
    assert json.loads(json_line({"a": None, "b": "x\u2028"})) == {"b": "x\u2028"}
