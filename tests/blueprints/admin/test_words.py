from datetime import UTC, datetime, timedelta

import pytest

from app.blueprints.admin.words import ago, search
from app.services.log_language import parse

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("back", "said"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=60), "1 minute ago"),
        (timedelta(hours=2, minutes=59), "2 hours ago"),
        (timedelta(days=9), "9 days ago"),
    ],
)
def test_how_long_ago_is_said_in_the_largest_unit(back: timedelta, said: str) -> None:
    assert ago(NOW - back, NOW) == said


def test_a_search_asks_for_each_value_as_it_is() -> None:
    values = {"action": "login_failed", "account": "a+b@c.d", "route": '/a "b" \\', "status": 403}
    asked = parse(search(**values))
    assert not asked.problems
    assert [(one.key, one.value) for one in asked.terms] == [
        (key, str(value)) for key, value in values.items()
    ]
