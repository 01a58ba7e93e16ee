from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.observability.log_formatters import FIELDS, to_json
from app.observability.log_truncation import fit

BASE = {"id": "i", "timestamp": "t", "level": "INFO", "logger": "shop", "message": "m",
        "request_id": None}  # fmt: skip


def fitted(limit: int, **fields: Any) -> dict[str, Any]:
    line = fit({**BASE, **fields}, limit, to_json)
    assert len(line) <= limit
    found: dict[str, Any] = orjson.loads(line)
    assert set(BASE) <= set(found)
    return found


def test_a_record_that_fits_stays_as_it_is() -> None:
    assert fitted(16_384, details={"a": 1}) == {**BASE, "details": {"a": 1}}


def test_the_longest_field_goes_first_and_is_named() -> None:
    found = fitted(8192, path="p" * 2000, details={"big": "x" * 9000, "small": "kept"})
    assert found["details"]["truncated"] == ["details.big"]
    assert found["details"]["big"] == "x" * 4096 + "…"
    assert found["path"] == "p" * 2000
    assert found["details"]["small"] == "kept"


def test_a_traceback_keeps_its_end() -> None:
    found = fitted(2000, exception={"type": "E", "traceback": "start" + "x" * 5000 + "the end"})
    assert found["exception"]["traceback"].endswith("the end")
    assert found["details"]["truncated"] == ["exception.traceback"]


@pytest.mark.parametrize("own", ["mine", ["a"] * 5000, "x" * 9000, {"a": 1}, None])
def test_a_detail_named_truncated_gives_way(own: Any) -> None:
    found = fitted(2048, details={"truncated": own, "big": "x" * 9000})
    assert found["details"]["truncated"] == ["details.big"]


def test_a_detail_named_truncated_stays_where_nothing_is_cut() -> None:
    assert fitted(2048, details={"truncated": "mine"})["details"] == {"truncated": "mine"}


long_texts = st.sampled_from(["a", "\x00", "ü", "\u2028", "\ud800", '"', "\U0001f600"]).flatmap(
    lambda char: st.integers(0, 3000).map(lambda count: char * count)
)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    st.integers(1023, 20_000),
    st.dictionaries(st.sampled_from([name for name in FIELDS if name not in
                                     ("id", "timestamp", "exception", "details")]), long_texts),
    st.dictionaries(long_texts, long_texts | st.lists(long_texts, max_size=3), max_size=5),
    st.dictionaries(st.sampled_from(["type", "message", "traceback"]), long_texts),
)  # fmt: skip
def test_any_record_fits(
    limit: int, fields: dict[str, str], details: dict[str, Any], exception: dict[str, str]
) -> None:
    fitted(limit, **fields, details=details, exception=exception)


def test_a_record_of_thousands_of_fields_fits() -> None:
    found = fitted(1023, details={f"key-{number}": "x" * 50 for number in range(2000)})
    assert "details" in found["details"]["truncated"]
