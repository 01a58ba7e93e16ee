import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.blueprints.admin.filters import ACTIONS, FIELDS, is_record_id, parse
from app.observability.ids import new_id
from app.services.log_service import WITHOUT_SAMPLES, LogQuery
from tests.helpers import ROOT

NOW = datetime(2026, 11, 23, 18, 30, tzinfo=UTC)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({}, {}),
        ({"q": "level:error disk"}, {"levels": ("ERROR",), "texts": ("disk",)}),
        ({"range": "15m"}, {"since": NOW - timedelta(minutes=15)}),
        ({"range": "30d", "q": "user:7"}, {"since": NOW - timedelta(days=30), "user_id": "7"}),
        (
            {"range": "yesterday"},
            {"since": NOON - timedelta(hours=36), "until": NOON - timedelta(hours=12)},
        ),
        ({"from": "2026-11-23T12:00"}, {"since": NOON}),
        ({"from": "2026-11-23T13:00+01:00", "range": "custom"}, {"since": NOON}),
        ({"to": "2026-11-23T12:00:00Z"}, {"until": NOON}),
        ({"range": "1h", "from": "2026-11-23T12:00"}, {"since": NOW - timedelta(hours=1)}),
        ({"page": "2", "level": "ERROR"}, {}),
    ],
)
def test_search_and_time_in_the_address_become_a_query(
    args: dict[str, str], expected: dict[str, Any]
) -> None:
    filters = parse(args, NOW)
    assert filters.errors == {}
    assert filters.query == LogQuery(**expected, without=WITHOUT_SAMPLES)


def test_the_actions_to_choose_from_are_those_that_are_recorded() -> None:
    call = re.compile(r'(?:record_event|operation|_events\.makeRecord)\(\s*"([a-z_]+)"')
    texts = [path.read_text() for path in (ROOT / "app").rglob("*.py")]
    recorded = {action for text in texts for action in call.findall(text)}
    assert set(ACTIONS) == recorded | {"error", "sample"}


@pytest.mark.parametrize(
    ("args", "field"),
    [
        ({"q": "level:loud"}, "q"),
        ({"q": "a\x00b"}, "q"),
        ({"range": "1y"}, "range"),
        ({"from": "yesterday"}, "from"),
        ({"from": "0001-01-01T00:00+14:00"}, "from"),
        ({"from": "0001-01-02"}, "from"),
        ({"to": "9999-12-31"}, "to"),
        ({"from": "2026-11-23T12:00", "to": "2026-11-23T12:00"}, "to"),
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
    assert parse(filters.address(), NOW).query == filters.query or filters.errors


def test_every_record_id_is_a_page_cursor() -> None:
    cursor = new_id()
    assert parse({"before": cursor}, NOW).before == cursor
    assert is_record_id(cursor)
    assert not is_record_id("1")


def test_an_address_keeps_search_and_time_and_takes_changes() -> None:
    filters = parse({"q": "level:error disk", "range": "1h", "before": new_id()}, NOW)
    assert filters.address(before="x") == {"q": "level:error disk", "range": "1h", "before": "x"}
    assert filters.narrowed("route", "/a b", negated=True) == {
        "q": 'level:error disk -route:"/a b"', "range": "1h",
    }  # fmt: skip
    assert filters.zoomed(NOON, NOW) == {
        "q": "level:error disk", "from": "2026-11-23T12:00:00", "to": "2026-11-23T18:30:00",
    }  # fmt: skip
    assert parse(filters.zoomed(NOON, NOW), NOW).query.since == NOON


def test_an_address_shows_times_in_utc_as_a_browser_field_wants_them() -> None:
    filters = parse({"from": "2026-11-23T13:00+01:00"}, NOW)
    assert filters.address() == {"from": "2026-11-23T12:00:00"}


def test_each_chip_leads_to_the_page_without_its_part() -> None:
    filters = parse({"q": "-level:error disk", "from": "2026-11-23T12:00"}, NOW)
    time = {"from": "2026-11-23T12:00:00"}
    assert filters.chips() == [
        ("level", "error", True, {"q": "disk", **time}),
        ("", "disk", False, {"q": "-level:error", **time}),
        ("time", "2026-11-23 12:00:00 to now", False, {"q": "-level:error disk"}),
    ]
    assert parse({"range": "24h"}, NOW).chips() == [("time", "Last 24 hours", False, {})]


def test_the_record_of_a_view_does_not_repeat_what_was_typed() -> None:
    filters = parse({"q": "my-own-password user:7", "range": "1h"}, NOW)
    assert filters.audit() == {"keys": "user", "text_length": "15", "range": "1h"}


@pytest.mark.parametrize(
    ("search", "meant"),
    [
        ("ann action:item_updat x", ("action:item_update", "ann action:item_update x")),
        ('action:"item_updat"', ("action:item_update", "action:item_update")),
        ("action:item_update", None), ("-action:item_updat", None), ("action:zzz", None),
        ("item_updat", None),
    ],
)  # fmt: skip
def test_an_action_that_is_nearly_one_of_ours_is_guessed(search: str, meant: Any) -> None:
    found = parse({"q": search, "range": "1h"}, NOW).meant()
    assert found == (meant and (meant[0], {"q": meant[1], "range": "1h"}))
