"""Whether all fields fit is asked at once; the answer must be that of asking one by one."""

from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.logstore import record
from app.logstore.field_limits import FLOATS, INTEGERS, OTHERS, TEXTS, all_fit

SOUND: dict[str, Any] = {
    "id": "01a21340-9793-72ec-8120-86a378abf389", "timestamp": "2026-11-26T10:00:00.000000Z",
    "level": "INFO", "logger": "app.events", "message": "request", "action": "request",
    "request_id": "r", "path": "/items", "status": 200, "duration_ms": 1.5, "db_count": 2,
    "pid": 7, "details": {"user_agent": "curl"},
}  # fmt: skip
VALUES = st.one_of(
    st.none(), st.text(max_size=20), st.text("ab", min_size=250, max_size=260), st.integers(),
    st.floats(), st.booleans(), st.lists(st.integers(), max_size=2),
)  # fmt: skip
NAMES = st.sampled_from([*TEXTS, *INTEGERS, *FLOATS, *OTHERS, "colour"])


def test_a_sound_record_fits() -> None:
    assert all_fit(SOUND)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("request_id", None), ("level", "x" * 17), ("path", "/é"), ("message", "a\0b"),
        ("status", 99), ("status", True), ("status", 200.0), ("pid", 2**63), ("db_count", "2"),
        ("duration_ms", 3), ("duration_ms", float("nan")), ("db_ms", 1e15), ("db_ms", -1e15),
        ("colour", "red"), ("account", 5),
    ],
)  # fmt: skip
def test_what_has_to_be_looked_at_does_not(name: str, value: Any) -> None:
    assert not all_fit({**SOUND, name: value})


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_a_record_is_the_same_whether_its_fields_are_asked_at_once_or_one_by_one(
    changes: dict[str, Any],
) -> None:
    raw = {**SOUND, **changes}
    at_once = record.normalise(raw)
    with mock.patch.object(record, "all_fit", return_value=False):
        assert at_once == record.normalise(raw)
