"""One record in the shape that every store takes, whatever it was made of."""

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypedDict

from app.logstore.cleaning import clean_text, clean_value, describe
from app.logstore.field_limits import (
    EXCEPTION_TEXTS,
    FLOATS,
    INTEGERS,
    MOST,
    OTHERS,
    TEXTS,
    all_fit,
)
from app.observability.ids import id_time


class LogRecord(TypedDict):
    """Hold one record by the names of the contract; every name is there, absent is None."""

    id: str
    timestamp: str
    level: str
    logger: str
    message: str
    action: str | None
    request_id: str | None
    parent_request_id: str | None
    user_id: str | None
    account: str | None
    method: str | None
    path: str | None
    route: str | None
    status: int | None
    duration_ms: float | None
    db_ms: float | None
    db_count: int | None
    remote_addr: str | None
    host: str | None
    pid: int | None
    release: str | None
    target_type: str | None
    target_id: str | None
    outcome: str | None
    statement: str | None
    exception: dict[str, str | None] | None
    details: dict[str, Any]
    keep: str


_BLANK = dict.fromkeys(LogRecord.__annotations__)

# Events of the machinery; every other event says who did what.
_MACHINERY = frozenset({
    "request", "error", "slow_query", "sample", "log_store_available", "log_store_unavailable",
})  # fmt: skip
_WARNINGS = frozenset({"WARNING", "ERROR", "CRITICAL"})
KEEPS = ("debug", "info", "error", "operation")
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
# As to_timestamp() spells it, in which our own lines come; the last days of a month are looked at
# more closely.
_TIMESTAMP = (
    r"(?:19[7-9]|[2-8][0-9]{2})[0-9]-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
    r"T(?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2}\.[0-9]{6}Z"
)
# Both at once, which takes hardly longer than one of them.
_STAMP = re.compile(f"{_UUID7.pattern} {_TIMESTAMP}")
# Years that every database and every time zone can show; other clocks are not believed.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9000, 1, 1, tzinfo=UTC)


def keep_class(record: Mapping[str, Any]) -> str:
    """Return how long a record is kept: `operation`, `error`, `info` or `debug`."""
    action, level = record.get("action"), record.get("level")
    if action and action not in _MACHINERY:
        return "operation"
    if level in _WARNINGS:
        return "error"
    return "debug" if level == "DEBUG" else "info"


def keeps_for(levels: tuple[str, ...], actions: tuple[str, ...]) -> tuple[str, ...]:
    """Return the keep classes that records of these levels and actions can be in."""
    found = set(KEEPS)
    if actions and not any(action in _MACHINERY for action in actions):
        found = {"operation"}
    elif actions and all(action in _MACHINERY for action in actions):
        found -= {"operation"}
    if levels:
        found &= {"operation", *(keep_class({"level": level}) for level in levels)}
    return tuple(keep for keep in KEEPS if keep in found)


def normalise(raw: Mapping[str, Any]) -> LogRecord:
    """Return any mapping as a record that every store takes; never raises.

    What has no place in the contract, or not its type, goes into details. Without a UUIDv7 of
    its own a record gets one made from its time and content, so that the same record has the
    same id each time.
    """
    details = _details(raw)
    record: dict[str, Any] = _BLANK.copy()
    if type(raw) is dict and all_fit(raw):
        record.update(raw)
    else:
        _fill(record, raw, details)
    record["level"] = (record["level"] or "INFO").upper()
    record["logger"] = record["logger"] or ""
    record["message"] = record["message"] or ""
    record["exception"] = _exception(raw.get("exception"), details)
    record["details"] = details
    _stamp(record, raw, details)
    record["keep"] = keep_class(record)
    return record  # type: ignore[return-value]


def _fill(record: dict[str, Any], raw: Mapping[str, Any], details: dict[str, Any]) -> None:
    """Take the texts and numbers over one by one."""
    for name, value in raw.items():
        limit = TEXTS.get(name, -1)
        # Asked here what `is_plain` asks: a call takes as long as the questions.
        if type(value) is str and len(value) <= limit and value.isascii() and "\0" not in value:
            record[name] = value
        elif value is None:
            continue
        elif limit > 0:
            record[name] = _text(value, name, limit, details)
        elif within := INTEGERS.get(name):
            sound = type(value) is int and value in within
            record[name] = value if sound else _integer(value, name, within, details)
        elif name in FLOATS:
            record[name] = _number(value, name, details)
        elif name not in OTHERS:
            _put(details, clean_text(describe(name))[:200], value)


def encoded(record: Mapping[str, Any]) -> LogRecord:
    """Return a record that a store refused in a form that none refuses, with the same id."""
    content = json.dumps(record, default=describe).encode("utf-8", "replace")
    shell = {
        "id": record["id"],
        "timestamp": record["timestamp"],
        "level": "WARNING",
        "logger": "app.logstore",
        "message": "A record that the store refused, encoded",
        "details": {"encoded": base64.b64encode(content[:1_048_576]).decode()},
    }
    return normalise(shell)


def derived_id(moment: datetime, *content: bytes) -> str:
    """Return the UUIDv7 that stands for this content at this time, the same on each call."""
    milliseconds = int(min(max(moment, EPOCH), _LAST).timestamp() * 1000)
    digest = hashlib.sha256(b"\0".join(content)).digest()
    number = (milliseconds << 80) | int.from_bytes(digest[:10], "big")
    number &= ~(0xF << 76) & ~(0x3 << 62)
    return str(uuid.UUID(int=number | (7 << 76) | (2 << 62)))


def valid_id(value: Any) -> str | None:
    """Return a UUIDv7 in its usual spelling, None for everything else."""
    if type(value) is str and _UUID7.fullmatch(value):
        return value
    text = value.lower() if isinstance(value, str) else ""
    return text if _UUID7.fullmatch(text) else None


def time_of(record_id: str) -> datetime:
    """Return the time in an id, at most the last that every database can hold."""
    try:
        return min(id_time(record_id), _LAST)
    except (OverflowError, ValueError):
        return _LAST


def to_timestamp(moment: datetime) -> str:
    """Return an instant as records spell it: RFC 3339, UTC, microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def _details(raw: Mapping[str, Any]) -> dict[str, Any]:
    given = clean_value(raw.get("details"))
    details: dict[str, Any] = given if isinstance(given, dict) else {}
    if given is not None and not isinstance(given, dict):
        details = {"details": given}
    return details


def _put(details: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        return
    while name in details:
        name += "_"
    details[name] = clean_value(value)


def _text(
    value: Any, name: str, limit: int, details: dict[str, Any], within: str = ""
) -> str | None:
    if value is None:
        return None
    if isinstance(value, (dict, list, tuple, set)):
        _put(details, name, value)
        return None
    text = clean_text(describe(value))
    return _cut(text.upper() if name == "level" else text, limit, within + name, details)


def _cut(text: str, limit: int, name: str, details: dict[str, Any]) -> str:
    if len(text) <= limit:
        return text
    told = details.setdefault("truncated", [])
    if isinstance(told, list) and name not in told:
        told.append(name)
    # The end of a traceback says what happened; elsewhere the beginning does.
    return "…" + text[1 - limit :] if name.endswith("traceback") else text[: limit - 1] + "…"


def _integer(value: Any, name: str, within: range, details: dict[str, Any]) -> int | None:
    whole = isinstance(value, float) and value.is_integer()
    # As a plain one: of a kind of integer a range would look at each that it holds.
    if (whole or (isinstance(value, int) and not isinstance(value, bool))) and int(value) in within:
        return int(value)
    _put(details, name, value)
    return None


def _number(value: Any, name: str, details: dict[str, Any]) -> float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < MOST:
        return float(value)
    _put(details, name, value)
    return None


def _exception(value: Any, details: dict[str, Any]) -> dict[str, str | None] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        _put(details, "exception", value)
        return None
    found = {
        name: _text(value.get(name), name, limit, details, "exception.")
        for name, limit in EXCEPTION_TEXTS.items()
    }
    rest = {key: item for key, item in value.items() if key not in EXCEPTION_TEXTS}
    _put(details, "exception", rest or None)
    return found if any(text is not None for text in found.values()) else None


def _stamp(record: dict[str, Any], raw: Mapping[str, Any], details: dict[str, Any]) -> None:
    """Give the record its time and id."""
    given_id, given = raw.get("id"), raw.get("timestamp")
    texts = type(given_id) is type(given) is str
    if texts and _STAMP.fullmatch(f"{given_id} {given}"):
        record["id"], record["timestamp"] = given_id, given
        return
    record_id = valid_id(given_id)
    moment = parse_moment(given)
    if moment is None:
        _put(details, "timestamp", given)
        moment = time_of(record_id) if record_id else EPOCH
    if record_id is None:
        _put(details, "id", given_id)
        plain = {**record, "id": None, "timestamp": None, "keep": None}
        content = json.dumps(plain, sort_keys=True, default=describe)
        record_id = derived_id(moment, content.encode("utf-8", "replace"))
    record["id"] = record_id
    record["timestamp"] = to_timestamp(moment)


def parse_moment(value: Any) -> datetime | None:
    """Return the time that a value says, None for no time and for one not to be believed."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        zoned = (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    except (OverflowError, ValueError):
        return None
    return zoned if EPOCH <= zoned <= _LAST else None
