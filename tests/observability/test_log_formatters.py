import json
import logging
import sys
import uuid
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.observability import log_formatters
from app.observability.log_context import bound, safe_extra
from app.observability.log_formatters import FIELDS, JSONFormatter, TextFormatter, to_json
from tests import hostile

LIMIT = 4096
REQUIRED = {"id", "timestamp", "level", "logger", "message", "request_id"}
LINE_ENDS = "\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


def record_of(
    message: Any = "hello", args: Any = (), exc_info: Any = None, **extra: Any
) -> logging.LogRecord:
    return logging.getLogger("shop").makeRecord(
        "shop", logging.INFO, __file__, 1, message, args, exc_info, extra=safe_extra(extra)
    )


def formatted(record: logging.LogRecord, limit: int = LIMIT) -> dict[str, Any]:
    line = JSONFormatter("1.2.3", limit).format(record)
    assert not set(line) & set(LINE_ENDS)
    assert len(line.encode()) + 1 <= limit
    found: dict[str, Any] = json.loads(line)
    assert found == orjson.loads(line)
    assert set(found) >= REQUIRED
    assert set(found) <= set(FIELDS)
    assert uuid.UUID(found["id"]).version == 7
    return found


def failure(argument: Any = "failed") -> Any:
    try:
        raise ValueError(argument)
    except ValueError:
        return sys.exc_info()


def test_a_record_has_the_fields_of_the_contract() -> None:
    found = formatted(record_of("sold %s", ("chair",)))
    assert found["message"] == "sold chair"
    assert (found["level"], found["logger"], found["release"]) == ("INFO", "shop", "1.2.3")
    assert found["timestamp"].endswith("Z")
    assert found["request_id"] is None
    assert "exception" not in found
    assert "user_id" not in found


def test_fields_have_their_places_and_the_rest_is_details() -> None:
    found = formatted(record_of(
        action="sell", user_id=7, target_id=42, status=200, duration_ms=1.5, item="chair",
        details={"colour": "red"}, host="db1", level="high",
    ))  # fmt: skip
    assert (found["action"], found["user_id"], found["target_id"]) == ("sell", "7", "42")
    assert (found["status"], found["duration_ms"]) == (200, 1.5)
    assert found["details"] == {
        "item": "chair", "colour": "red", "host": "db1", "level": "high",
    }  # fmt: skip
    assert found["level"] == "INFO"


@pytest.mark.parametrize("own", [42, "42", "abc", None, "8c7f0b34-9d0e-4c0e-9a6e-0f6a1f4f2b11"])
def test_an_id_in_extra_is_a_detail_and_not_the_records_identity(own: Any) -> None:
    first, second = formatted(record_of(id=own)), formatted(record_of(id=own))
    assert first["id"] != second["id"]
    assert first.get("details", {}).get("id") == own


@pytest.mark.parametrize("value", ["ok", True, 2**64, float("nan"), [1], "2"])
def test_what_is_no_number_is_a_detail(value: Any) -> None:
    found = formatted(record_of(status=value))
    assert "status" not in found
    assert "status" in found["details"]


def test_details_that_are_no_mapping_are_kept() -> None:
    assert formatted(record_of(details="red"))["details"] == {"details": "red"}


def test_bound_fields_are_in_the_line() -> None:
    with bound(request_id="r1", user_id="7", basket=3):
        found = formatted(record_of())
    assert (found["request_id"], found["user_id"], found["details"]) == ("r1", "7", {"basket": 3})


def test_what_a_record_says_to_be_absent_is_absent_whatever_is_bound() -> None:
    with bound(request_id="r1", user_id="7"):
        found = formatted(record_of(user_id=None, request_id=None))
    assert found["request_id"] is None
    assert "user_id" not in found


def test_an_exception_is_an_object_and_outside_an_except_there_is_none() -> None:
    assert formatted(record_of(exc_info=failure()))["exception"]["type"] == "ValueError"
    outside = formatted(record_of(exc_info=(None, None, None)))
    assert "exception" not in outside
    assert outside["message"] == "hello"


def test_every_handler_gets_the_same_line_with_the_same_id() -> None:
    record = record_of()
    assert JSONFormatter().format(record) == JSONFormatter("other").format(record)


def test_arguments_that_do_not_fit_leave_the_message() -> None:
    assert formatted(record_of("sold %d %d", ("chair",)))["message"] == "sold %d %d"


def test_secrets_are_masked_in_message_fields_details_and_exception() -> None:
    found = formatted(record_of(
        "token=%s", ("Zq9xCanary7",), failure("password=Zq9xCanary7"), password="Zq9xCanary7",
        path="/x?api_key=Zq9xCanary7", statement="secret='Zq9xCanary7'",
        details={"list": [{"cookie": "Zq9xCanary7"}]},
    ), 16_384)  # fmt: skip
    assert "Zq9xCanary7" not in json.dumps(found)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    hostile.texts | hostile.odd,
    st.lists(hostile.values, max_size=3),
    st.dictionaries(hostile.names, hostile.values, max_size=5),
    hostile.scalars | hostile.odd,
)
def test_any_record_is_one_line_of_valid_json(
    message: Any, args: list[Any], extra: dict[str, Any], raised: Any
) -> None:
    formatted(record_of(message, tuple(args), failure(raised), **{"x": 0, **{
        str(key): value for key, value in extra.items()
        if key not in ("message", "args", "exc_info")
    }}))  # fmt: skip


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.dictionaries(hostile.names, hostile.values, max_size=5), hostile.values)
def test_any_extra_is_one_line_under_the_smallest_limit(extra: dict[str, Any], value: Any) -> None:
    record = record_of(value)
    vars(record).update(safe_extra(extra))
    formatted(record, 1024)


@pytest.mark.parametrize("value", hostile.ODD, ids=lambda value: type(value).__name__)
def test_an_odd_value_anywhere_is_one_line(value: Any) -> None:
    names = ("path", "status", "id", "details", "truncated", "request_id", "user_id", "any")
    formatted(record_of(value, (value,), failure(value), **dict.fromkeys(names, value)))


def test_a_formatter_that_fails_still_gives_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_value: Any) -> Any:
        raise RuntimeError("canary")

    monkeypatch.setattr(log_formatters, "may_show_secret", broken)
    found = formatted(record_of("secret text", item="chair"))
    assert found["details"] == {"reason": "RuntimeError"}
    assert "secret text" not in found["message"]


def test_json_escapes_the_line_ends_of_other_standards() -> None:
    text = "\u2028\u2029\x85\ud800"
    line = to_json({"text": text})
    assert line.decode() == '{"text": "\\u2028\\u2029\\u0085?"}'
    assert to_json({"text": text[:3]}).decode() == '{"text":"\\u2028\\u2029\\u0085"}'


def test_a_console_line_is_readable() -> None:
    record = record_of("request", action="request", method="GET", path="/items", status=200,
                       duration_ms=3.2, request_id="r1", account="a@example.com")  # fmt: skip
    text = TextFormatter().format(record)
    moment, level, *rest = text.split()
    assert level == "INFO"
    assert " ".join(rest) == "GET /items 200 3.2 ms account=a@example.com [r1]"
    assert moment.count(":") == 2
    plain = TextFormatter().format(record_of("sold", item="chair")).split()[2:]
    assert plain == ["shop:", "sold", "item=chair"]


def test_nothing_that_is_logged_can_fake_a_console_line() -> None:
    fake = "\r\n12:00:00 ERROR fake\u2028\x1b[2J\x85"
    more = {"path": fake, "account": fake, "target_id": fake, "detail" + fake: fake}
    text = TextFormatter().format(record_of(fake, exc_info=failure(fake), **more))
    _first, *others = text.split("\n")
    assert all(line.startswith("    ") for line in others)
    assert all(char == "\n" or char.isprintable() for char in text)


def test_the_console_says_what_was_refused_and_what_was_asked() -> None:
    record = logging.makeLogRecord({
        "msg": "item_update", "action": "item_update", "outcome": "refused", "method": "PUT",
        "path": "/items/1", "levelname": "INFO",
    })  # fmt: skip
    assert "item_update refused PUT /items/1" in TextFormatter().format(record)
