import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.blueprints.admin.filters import ACTIONS, FIELDS, is_record_id, parse, request_id_error
from app.observability.ids import new_id
from app.services.log_service import WITHOUT_SAMPLES, LogQuery
from tests.helpers import ROOT

NOW = datetime(2026, 11, 23, 18, 30, tzinfo=UTC)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({}, LogQuery()),
        ({"level": "WARNING"}, LogQuery(levels=("WARNING", "ERROR", "CRITICAL"))),
        ({"level": "error"}, LogQuery(levels=("ERROR", "CRITICAL"))),
        ({"action": "item_create"}, LogQuery(actions=("item_create",))),
        ({"user": "7"}, LogQuery(user_id="7")),
        ({"user": "Ann@Example.com"}, LogQuery(account="ann@example.com")),
        ({"request_id": " abc-1 "}, LogQuery(request_id="abc-1")),
        ({"text": "50 % off"}, LogQuery(texts=("50 % off",))),
        ({"text": "12\u00a0kg\u3000\u200d"}, LogQuery(texts=("12\u00a0kg\u3000\u200d",))),
        ({"range": "15m"}, LogQuery(since=NOW - timedelta(minutes=15))),
        ({"range": "7d"}, LogQuery(since=NOW - timedelta(days=7))),
        ({"from": "2026-11-23T12:00"}, LogQuery(since=NOON)),
        ({"from": "2026-11-23T13:00+01:00", "range": "custom"}, LogQuery(since=NOON)),
        ({"to": "2026-11-23T12:00:00Z"}, LogQuery(until=NOON)),
        ({"range": "1h", "from": "2026-11-23T12:00"}, LogQuery(since=NOW - timedelta(hours=1))),
        ({"status": "4xx"}, LogQuery(status_min=400, status_max=499)),
        ({"route": "/items/<int:item_id>"}, LogQuery(route="/items/<int:item_id>")),
        ({"fingerprint": "a1b2"}, LogQuery(fingerprint="a1b2")),
        ({"page": "2", "level": ""}, LogQuery()),
    ],
)
def test_filters_in_the_address_become_a_query(args: dict[str, str], expected: LogQuery) -> None:
    filters = parse(args, NOW)
    assert filters.errors == {}
    assert replace(filters.query, without=()) == expected


def test_the_actions_to_choose_from_are_those_that_are_recorded() -> None:
    call = re.compile(r'(?:record_event|operation|_events\.makeRecord)\(\s*"([a-z_]+)"')
    texts = [path.read_text() for path in (ROOT / "app").rglob("*.py")]
    recorded = {action for text in texts for action in call.findall(text)}
    assert set(ACTIONS) == recorded | {"error", "sample"}


def test_samples_stay_out_unless_they_are_asked_for() -> None:
    assert parse({}, NOW).query.without == WITHOUT_SAMPLES
    assert parse({"level": "INFO"}, NOW).query.without == WITHOUT_SAMPLES
    assert parse({"action": "sample"}, NOW).query == LogQuery(actions=("sample",))


@pytest.mark.parametrize(
    ("args", "field"),
    [
        ({"level": "LOUD"}, "level"),
        ({"action": "DROP TABLE"}, "action"),
        ({"user": "bob"}, "user"),
        ({"user": "\u0663"}, "user"),
        ({"request_id": "a b"}, "request_id"),
        ({"request_id": "x" * 65}, "request_id"),
        ({"text": "a\x00b"}, "text"),
        ({"text": "x" * 201}, "text"),
        ({"range": "1y"}, "range"),
        ({"from": "yesterday"}, "from"),
        ({"from": "0001-01-01T00:00+14:00"}, "from"),
        ({"from": "2026-11-23T12:00", "to": "2026-11-22T12:00"}, "to"),
        ({"status": "200 OR 1=1"}, "status"),
        ({"route": "/\x1b[31m"}, "route"),
        ({"fingerprint": "'"}, "fingerprint"),
        ({"before": "../../etc"}, "before"),
    ],
)
def test_a_bad_value_is_refused_under_the_name_of_its_field(
    args: dict[str, str], field: str
) -> None:
    filters = parse(args, NOW)
    assert set(filters.errors) == {field}
    assert filters.query == LogQuery()


@given(st.dictionaries(st.sampled_from([*FIELDS, "before"]), st.text(max_size=250)))
def test_no_value_whatever_raises(args: dict[str, str]) -> None:
    filters = parse(args, NOW)
    assert all(name in {*FIELDS, "before"} for name in filters.errors)


def test_every_record_id_is_a_page_cursor() -> None:
    cursor = new_id()
    assert parse({"before": cursor}, NOW).before == cursor
    assert is_record_id(cursor)
    assert not is_record_id("1")


def test_an_address_keeps_the_filters_and_takes_changes() -> None:
    filters = parse({"level": "ERROR", "text": "disk"}, NOW)
    assert filters.address(before="x") == {"level": "ERROR", "text": "disk", "before": "x"}
    assert filters.address(text=None) == {"level": "ERROR"}


def test_an_address_shows_times_in_utc_as_a_browser_field_wants_them() -> None:
    filters = parse({"from": "2026-11-23T13:00+01:00"}, NOW)
    assert filters.address() == {"from": "2026-11-23T12:00:00", "range": "custom"}
    assert parse(filters.address(), NOW).query == filters.query


def test_each_chip_leads_to_the_page_without_its_filter() -> None:
    filters = parse({"level": "ERROR", "from": "2026-11-23T12:00"}, NOW)
    without: dict[str, Any] = {name: rest for name, _, rest in filters.chips()}
    assert without == {
        "level": {"range": "custom", "from": "2026-11-23T12:00:00"},
        "range": {"level": "ERROR"},
    }


def test_the_record_of_a_view_does_not_repeat_the_text_that_was_looked_for() -> None:
    filters = parse({"text": "my-own-password", "level": "ERROR"}, NOW)
    assert filters.audit() == {"level": "ERROR", "text_length": "15"}


@pytest.mark.parametrize("value", ["", "a/b", "ä", "x" * 65, "a\n"])
def test_what_is_no_request_id_is_told(value: str) -> None:
    assert request_id_error(value)
    assert request_id_error("AZ.az_09-") is None
