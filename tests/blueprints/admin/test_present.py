from typing import Any

import pytest

from app.blueprints.admin.present import (
    as_curl,
    as_text,
    clock,
    day,
    detail_fields,
    duration,
    fields,
    level_look,
    queries,
    size,
    status_look,
    summary,
    traceback_lines,
)

TRACEBACK = """Traceback (most recent call last):
  File "/srv/venv/lib/python3.11/site-packages/flask/app.py", line 1, in wsgi_app
    response = self.dispatch()
  File "/srv/app/services/item_service.py", line 42, in create
    raise KeyError(name)
           ^^^^^^^^^^
KeyError: 'x'
"""


def test_only_the_lines_of_this_projects_frames_are_ours() -> None:
    ours = [line.strip() for line, is_ours in traceback_lines(TRACEBACK) if is_ours]
    assert ours == [
        'File "/srv/app/services/item_service.py", line 42, in create',
        "raise KeyError(name)",
        "^^^^^^^^^^",
    ]
    assert [line for line, _ in traceback_lines(TRACEBACK)] == TRACEBACK.splitlines()
    assert traceback_lines(None) == []


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [(0.04, "0.0 ms"), (42.25, "42.2 ms"), (420.7, "421 ms"), (1500, "1.50 s"),
     (120_000, "2.0 min"), (None, "-"), ("soon", "soon"), (True, "True")],
)  # fmt: skip
def test_a_duration_has_the_unit_a_person_would_use(milliseconds: Any, shown: str) -> None:
    assert duration(milliseconds) == shown


def test_a_size_has_the_unit_a_person_would_use() -> None:
    assert [size(n) for n in (12, 20_480, 3 * 2**30)] == ["12 bytes", "20 KB", "3.0 GB"]


def test_a_time_is_shown_in_utc_and_one_that_cannot_be_read_as_it_is() -> None:
    assert (day("2026-11-23T01:02:03.456789+02:00"), clock("2026-11-23T01:02:03.456789+02:00")) == (
        "2026-11-22",
        "23:02:03.456",
    )
    assert (day("soon"), clock("soon"), clock(None)) == ("", "soon", "")


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"message": "about to fail"}, "about to fail"),
        ({"message": "item_create", "action": "item_create"}, ""),
        ({"message": "slow query", "action": "slow_query", "statement": "SELECT ?"}, "SELECT ?"),
        ({"exception": {"type": "KeyError", "message": "'x'"}}, "KeyError: 'x'"),
        ({"exception": {"type": "KeyError", "message": ""}}, "KeyError"),
        ({}, ""),
    ],
)
def test_a_summary_says_what_the_action_does_not(record: dict[str, Any], said: str) -> None:
    assert summary(record) == said


def test_fields_are_those_with_a_value_in_reading_order() -> None:
    record = {"id": "1", "level": "INFO", "path": None, "exception": {"type": "X"}, "new": 0}
    assert fields(record) == [("level", "INFO"), ("id", "1"), ("new", 0)]


def test_the_queries_of_a_request_are_shown_apart_from_its_details() -> None:
    record = {"details": {"queries": [{"statement": "SELECT ?"}, "odd"], "agent": {"a": [1]}}}
    assert queries(record) == [{"statement": "SELECT ?", "count": 1}]
    assert detail_fields(record) == [("agent", as_text({"a": [1]}))]


@pytest.mark.parametrize("details", [None, {}, [], "text", {"queries": "odd"}])
def test_details_of_any_shape_are_shown(details: Any) -> None:
    assert queries({"details": details}) == []
    assert all(isinstance(text, str) for _, text in detail_fields({"details": details}))


def test_looks_are_chosen_from_a_fixed_list() -> None:
    assert [level_look(one) for one in ("ERROR", "x y", None)] == ["error", "info", "info"]
    assert [status_look(one) for one in (404, "5<b>", None)] == ["status-4xx", "", ""]


@pytest.mark.parametrize(
    ("record", "command"),
    [
        ({"method": "GET", "path": "/items?q=a&b=1"}, "curl -g -i 'https://x.org/items?q=a&b=1'"),
        (
            {"method": "PUT", "path": "/items/1", "user_id": "7"},
            'curl -g -i -X PUT -H "Authorization: Bearer $TOKEN" https://x.org/items/1',
        ),
        (
            {"path": "/a'; rm -rf $HOME;'"},
            """curl -g -i 'https://x.org/a'"'"'; rm -rf $HOME;'"'"''""",
        ),
        ({"path": "@evil.example/"}, "curl -g -i https://x.org/@evil.example/"),
        ({}, "curl -g -i https://x.org/"),
    ],
)
def test_a_request_can_be_sent_again_from_a_shell(record: dict[str, str], command: str) -> None:
    assert as_curl(record, "https://x.org/") == command
