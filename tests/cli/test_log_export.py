import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from app.cli.log_export import export
from app.services.log_export import COLUMNS
from tests.helpers import log_lines
from tests.log_records import failed_request, made, put
from tests.logstore.stores import write_lines

Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask) -> Run:
    runner = app.test_cli_runner()
    return lambda *args: runner.invoke(export, args)


def rows(result: Result) -> list[dict[str, str]]:
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout, newline="")))


def test_exactly_what_is_filtered_is_exported_however_much(app: Flask, run: Run) -> None:
    put(app, *(made(f"hay {index}") for index in range(1300)), *failed_request("r-1"))
    put(app, made("hay of old", ago=timedelta(days=2)), made("figures", action="sample"))
    lines = [json.loads(line) for line in run("hay", "--since", "1d").stdout.splitlines()]
    assert [one["message"] for one in lines] == [f"hay {index}" for index in range(1299, -1, -1)]
    assert len(run("--request", "r-1").stdout.splitlines()) == 3


def test_an_export_is_an_event_that_says_who_took_what(app: Flask, run: Run) -> None:
    put(app, made("my secret text"), made("my secret text"))
    run("secret -hidden-secret -level:debug", "--level", "info")
    (event,) = log_lines(app, "logs_exported")
    assert event["outcome"] == "success"
    assert event["details"]["count"] == 2
    assert event["details"]["format"] == "ndjson"
    assert event["details"]["os_user"]
    assert event["details"]["filters"]["text_length"] == "6"
    assert event["details"]["filters"]["without"] == "actions, levels, texts"
    assert "secret" not in json.dumps(event)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_table_holds_no_formula(app: Flask, run: Run, start: str) -> None:
    hostile = f'{start}HYPERLINK("http://x","y")'
    put(app, made(hostile, account=hostile, exception={"type": hostile}, duration_ms=1.5))
    (row,) = rows(run("--csv"))
    assert tuple(row) == COLUMNS
    for name in ("message", "account", "exception_type"):
        assert row[name] == f"'{hostile}"
    assert (row["duration_ms"], row["status"]) == ("1.5", "")


def test_a_table_holds_every_field(app: Flask, run: Run) -> None:
    stored = put(app, *failed_request("r-1"))
    found = {row["id"]: row for row in rows(run("--csv"))}
    error = found[stored[1]["id"]]
    assert error["exception_traceback"].endswith("KeyError: 'x'\n")
    assert json.loads(error["details"]) == stored[1]["details"]
    assert error["keep"] == "error"


def test_files_are_exported_as_they_stand(app: Flask, run: Run, tmp_path: Any) -> None:
    records = [made("b"), made("a", ago=timedelta(hours=1)), made("c", level="ERROR")]
    write_lines(tmp_path / "x.log", *records)
    put(app, made("in the store"))
    result = run("--file", str(tmp_path / "x.log"))
    assert [json.loads(one)["message"] for one in result.stdout.splitlines()] == ["b", "a", "c"]
    assert len(rows(run("--csv", "--level", "error", "--file", str(tmp_path / "x.log")))) == 1
    assert len(log_lines(app, "logs_exported")) == 2
