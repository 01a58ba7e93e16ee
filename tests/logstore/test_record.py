import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.logstore.record import (
    KEEPS,
    derived_id,
    encoded,
    keep_class,
    keeps_for,
    normalise,
    parse_moment,
    time_of,
    valid_id,
)
from app.observability.ids import id_time, new_id
from tests.logstore.stores import sample

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
    | st.datetimes() | st.just(object()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)  # fmt: skip
NAMES = st.sampled_from([*normalise({}), "extra", "source", "seq"]) | st.text()


@given(st.dictionaries(NAMES, ANYTHING))
def test_any_mapping_becomes_a_record_of_valid_json(raw: dict[Any, Any]) -> None:
    record = normalise(raw)
    text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    text.encode()
    assert "\\u0000" not in text
    assert valid_id(record["id"])
    assert parse_moment(record["timestamp"])
    assert record["keep"] in KEEPS


@given(st.dictionaries(NAMES, ANYTHING))
def test_a_normal_record_stays_as_it_is(raw: dict[Any, Any]) -> None:
    once = normalise(raw)
    assert normalise(once) == once


def test_each_field_of_the_contract_keeps_its_value() -> None:
    given_record = sample(
        action="request", request_id="r", parent_request_id="p", user_id="7", account="a@b.c",
        method="GET", path="/x", route="/<x>", status=200, duration_ms=1.5, db_ms=0.5, db_count=2,
        remote_addr="::1", host="h", pid=1, release="1.0", target_type="item", target_id="5",
        outcome="success", statement="SELECT 1", details={"a": [1, None]},
        exception={"type": "E", "message": "m", "traceback": "t", "fingerprint": "f"},
    )  # fmt: skip
    assert normalise(given_record) == {**given_record, "keep": "info"}


@pytest.mark.parametrize(
    ("level", "action", "keep"),
    [
        ("DEBUG", None, "debug"),
        ("INFO", None, "info"),
        ("INFO", "request", "info"),
        ("INFO", "sample", "info"),
        ("WARNING", "slow_query", "error"),
        ("ERROR", "error", "error"),
        ("CRITICAL", None, "error"),
        ("INFO", "item_update", "operation"),
        ("WARNING", "login_failed", "operation"),
        ("INFO", "logs_viewed", "operation"),
    ],
)
def test_a_keep_class_follows_from_action_and_level(
    level: str, action: str | None, keep: str
) -> None:
    assert keep_class({"level": level, "action": action}) == keep
    found = keeps_for((level,), (action,) if action else ())
    assert keep in found


def test_what_has_no_place_or_the_wrong_type_goes_into_details() -> None:
    record = normalise(sample(status="teapot", pid=True, message=None, colour="red", details=5))
    assert (record["status"], record["pid"], record["message"]) == (None, None, "")
    assert record["details"] == {"status": "teapot", "pid": True, "colour": "red", "details": 5}


def test_an_integer_of_another_kind_is_a_plain_one() -> None:
    class Number(int):
        """As a database driver may have one."""

    pid = normalise(sample(pid=Number(7)))["pid"]
    assert (pid, type(pid)) == (7, int)


@pytest.mark.parametrize(("status", "kept"), [(99, False), (100, True), (999, True), (1000, False)])
def test_a_status_that_filters_and_counts_would_not_tell_alike_is_none(
    status: int, kept: bool
) -> None:
    record = normalise(sample(status=status))
    told = (status, {}) if kept else (None, {"status": status})
    assert (record["status"], record["details"]) == told


def test_a_detail_is_not_overwritten_by_an_unknown_name() -> None:
    record = normalise(sample(colour="red", details={"colour": "blue"}))
    assert record["details"] == {"colour": "blue", "colour_": "red"}


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        ("a\0b", "a\ufffdb"),
        ("\ud800", "\ufffd"),
        (2**64, str(2**64)),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (b"x", "b'x'"),
        ({1: {"deep\0": "x"}}, {"1": {"deep\ufffd": "x"}}),
    ],
)
def test_what_a_store_refuses_is_replaced(value: Any, cleaned: Any) -> None:
    assert normalise(sample(details={"value": value}))["details"]["value"] == cleaned


def test_a_value_without_an_end_is_cut() -> None:
    endless: dict[str, Any] = {}
    endless["left"] = endless["right"] = endless
    json.dumps(normalise(sample(details=endless)))


def test_a_long_field_is_cut_and_named() -> None:
    record = normalise(sample(request_id="x" * 100, exception={"traceback": "t" * 300_000 + "end"}))
    assert record["request_id"] == "x" * 63 + "…"
    assert record["exception"] is not None
    assert str(record["exception"]["traceback"]).endswith("end")
    assert record["details"]["truncated"] == ["request_id", "exception.traceback"]


@pytest.mark.parametrize("bad", [None, 5, "5", "0f0e0d0c-0000-4000-8000-000000000001", "\0"])
def test_an_id_that_is_no_uuid7_is_replaced_by_one_made_of_the_record(bad: Any) -> None:
    one, other = sample(id=bad, message="one"), sample(id=bad, message="other")
    first, again, second = normalise(one), normalise(one), normalise(other)
    assert first["id"] == again["id"] != second["id"]
    assert abs((id_time(first["id"]) - parse_moment(one["timestamp"])).total_seconds()) < 0.01
    assert first["details"].get("id") == normalise({"details": {"id": bad}})["details"]["id"]


def test_an_id_in_capitals_is_the_same_id_and_changes_no_time() -> None:
    one = sample()
    record = normalise({**one, "id": one["id"].upper()})
    assert (record["id"], record["timestamp"]) == (one["id"], one["timestamp"])


@pytest.mark.parametrize("cut", [-1, 4])
def test_an_id_and_a_time_that_are_sound_only_together_are_both_replaced(cut: int) -> None:
    both = sample()["id"] + sample()["timestamp"]
    record = normalise({"id": both[: 36 + cut], "timestamp": both[36 + cut :]})
    assert valid_id(record["id"])
    assert record["timestamp"] == "1970-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("bad", [None, "yesterday", "0001-01-01T00:00:00Z", 5])
def test_a_time_that_is_none_is_taken_from_the_id(bad: Any) -> None:
    record = normalise(sample(timestamp=bad))
    moment = parse_moment(record["timestamp"])
    assert moment is not None
    assert int(moment.timestamp() * 1000) == int(id_time(record["id"]).timestamp() * 1000)


def test_the_last_id_of_all_has_a_time_that_databases_know() -> None:
    assert time_of("ffffffff-ffff-7fff-bfff-ffffffffffff").year == 9000


def test_a_derived_id_is_the_same_for_the_same_content() -> None:
    now = id_time(new_id())
    assert derived_id(now, b"a", b"b") == derived_id(now, b"a", b"b") != derived_id(now, b"ab")
    assert valid_id(derived_id(now, b"a"))
    assert id_time(derived_id(now, b"a")) == now


def test_an_encoded_record_keeps_id_and_time_and_holds_the_record() -> None:
    import base64

    record = normalise(sample(message="poison"))
    shell = encoded(record)
    assert (shell["id"], shell["timestamp"]) == (record["id"], record["timestamp"])
    assert shell["level"] == "WARNING"
    assert json.loads(base64.b64decode(shell["details"]["encoded"])) == record
