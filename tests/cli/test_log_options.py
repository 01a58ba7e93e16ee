from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest

from app.cli.log_options import Search, Since, Status, User, hours_since, levels_from


@pytest.mark.parametrize(
    ("text", "ago"),
    [("90s", timedelta(seconds=90)), ("15m", timedelta(minutes=15)), ("1h", timedelta(hours=1)),
     ("7d", timedelta(days=7)), ("2w", timedelta(weeks=2))],
)  # fmt: skip
def test_a_span_is_counted_back_from_now(text: str, ago: timedelta) -> None:
    moment = Since().convert(text, None, None)
    assert abs(datetime.now(UTC) - ago - moment) < timedelta(seconds=5)
    assert hours_since(moment) == pytest.approx(ago.total_seconds() / 3600, abs=0.01)


@pytest.mark.parametrize(
    "text",
    ["2026-11-23T12:00:00Z", "2026-11-23T13:00:00+01:00", "2026-11-23T12:00", "2026-11-23 12:00"],
)
def test_a_time_is_read_as_rfc_3339_and_without_a_zone_as_utc(text: str) -> None:
    assert Since().convert(text, None, None) == datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "range_"), [("404", (404, 404)), ("5xx", (500, 599)), ("4XX", (400, 499))]
)
def test_a_status_is_a_number_or_a_class(text: str, range_: tuple[int, int]) -> None:
    assert Status().convert(text, None, None) == range_


@pytest.mark.parametrize(
    ("text", "fields"),
    [("7", {"user_id": "7"}), ("Ann@Example.com", {"account": "ann@example.com"})],
)
def test_a_user_is_a_number_or_an_address(text: str, fields: dict[str, str]) -> None:
    assert User().convert(text, None, None) == fields


@pytest.mark.parametrize(
    ("kind", "text"),
    [(Since(), "yesterday"), (Since(), "1y"), (Since(), ""), (Since(), "999999w"),
     (Since(), "0001-01-01T00:00+14:00"), (Status(), "600"), (Status(), "4x"), (User(), "bob")],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_one_line(kind: click.ParamType[Any], text: str) -> None:
    with pytest.raises(click.ClickException) as caught:
        kind.convert(text, None, None)
    assert caught.value.exit_code == 2
    assert caught.value.message.startswith(kind.name)
    assert "\n" not in caught.value.message


def test_a_search_that_cannot_be_read_says_where_and_what_was_meant() -> None:
    assert Search().convert("a user:7", None, None).user_id == "7"
    with pytest.raises(click.ClickException) as caught:
        Search().convert("a lvel:error", None, None)
    said = "At character 3: There is no key lvel. Did you mean level? Try a level:error"
    assert (caught.value.message, caught.value.exit_code) == (said, 2)


def test_a_level_means_the_ones_above_it_as_well() -> None:
    assert levels_from("ERROR") == ("ERROR", "CRITICAL")
    assert levels_from(None) == ()
