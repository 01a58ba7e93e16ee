import json
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.log_format import bar, json_line, one_line, show, show_table, stamp, text_line

RECORD: dict[str, Any] = {
    "id": "1", "timestamp": "2026-11-23T10:00:00.123456Z", "level": "ERROR", "action": "error",
    "message": "KeyError", "method": "GET", "path": "/items/9", "account": "ann@example.com",
    "user_id": "7", "request_id": "abc", "exception": {"type": "KeyError", "message": "'x'"},
    "details": {"place": "app/x.py:1 in y"}, "outcome": None, "status": None,
}  # fmt: skip


def columns(record: dict[str, Any]) -> list[str]:
    return click.unstyle(text_line(record)).split()


def test_a_record_is_one_line_of_columns() -> None:
    assert columns(RECORD) == [
        "2026-11-23", "10:00:00.123Z", "ERROR", "error", "KeyError:", "'x'", "GET", "/items/9",
        "(app/x.py:1", "in", "y)", "ann@example.com", "[abc]",
    ]  # fmt: skip


def test_a_request_shows_its_status_and_duration() -> None:
    request = {**RECORD, "action": "request", "exception": None, "details": {}, "status": 404,
               "duration_ms": 12.345, "outcome": "aborted"}  # fmt: skip
    assert columns(request)[3:9] == ["request", "GET", "/items/9", "404", "12.3", "ms"]


def test_an_operation_shows_its_target_and_an_outcome_other_than_success() -> None:
    one = {"action": "item_update", "message": "item_update", "target_type": "item",
           "target_id": "9", "outcome": "refused"}  # fmt: skip
    assert columns(one) == ["item_update", "item", "9", "refused"]
    assert columns({**one, "details": {"reason": "Conflict"}})[-2:] == ["refused", "Conflict"]
    assert columns({**one, "message": "stale", "user_id": "7"})[1:3] == ["stale", "item"]
    assert columns({**one, "user_id": "7"})[-2:] == ["user", "7"]


@given(st.dictionaries(st.sampled_from(["path", "account", "message", "action"]), st.text()))
def test_no_value_starts_a_line_or_commands_a_terminal(values: dict[str, str]) -> None:
    line = click.unstyle(text_line({**RECORD, **values}))
    assert line.isprintable()
    assert one_line(line) == line


def test_an_object_is_one_line_of_json_without_absent_fields() -> None:
    found = json.loads(json_line({**RECORD, "message": "a\nb\u2028c"}))
    assert found["message"] == "a\nb\u2028c"
    assert "status" not in found
    assert len(json_line({"message": "a\nb\u2028\x85c"}).splitlines()) == 1


def test_a_table_has_a_header_and_numbers_on_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    show_table([{"count": 5, "last_path": "/a"}, {"count": 12, "last_path": None}], as_json=False)
    assert capsys.readouterr().out.splitlines() == ["count  last path", "    5  /a", "   12  -"]


def test_a_table_as_json_is_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_table([{"count": 5}, {"count": 12}], as_json=True)
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [{"count": 5}, {"count": 12}]


def test_colours_are_only_for_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    show(click.style("red", fg="red"))
    assert capsys.readouterr().out == "red\n"


def test_a_bar_shows_every_count_but_zero() -> None:
    assert [len(bar(count, 1000)) for count in (0, 1, 500, 1000)] == [0, 1, 20, 40]


def test_a_time_that_cannot_be_read_is_shown_as_it_is() -> None:
    assert [stamp(value) for value in ("soon", None)] == ["soon", ""]
