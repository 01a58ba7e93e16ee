"""How a record looks: one JSON object a line for files, readable text for a console."""

import json
import logging
import os
import re
import socket
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from app.observability import exceptions, log_context
from app.observability.exceptions import type_name
from app.observability.ids import new_id
from app.observability.log_redaction import (
    mask,
    may_show_secret,
    plain_copy,
    plain_mapping,
    text_of,
)
from app.observability.log_truncation import fit

# The record contract; docs/architecture.md says what each means.
FIELDS = (
    "id", "timestamp", "level", "logger", "message", "action", "request_id", "parent_request_id",
    "user_id", "account", "method", "path", "route", "status", "duration_ms", "db_ms", "db_count",
    "remote_addr", "host", "pid", "release", "target_type", "target_id", "outcome", "statement",
    "exception", "details",
)  # fmt: skip
_NUMBERS = ("status", "duration_ms", "db_ms", "db_count")
_NUMERIC = (float, int)
_BIG = 2**63
_TEXTS = (
    "action", "request_id", "parent_request_id", "user_id", "account", "method", "path", "route",
    "remote_addr", "target_type", "target_id", "outcome", "statement",
)  # fmt: skip
# What may show a secret. The other texts are made here, and a cookie that repeats an address must
# not hide where it came from.
_SHOWN = frozenset({
    "message", "account", "path", "target_id", "statement", "exception", "details",
})  # fmt: skip
_OURS = frozenset({"rendered_line", "rendered_fields", "in_outbox"})
# What a record's attribute is; every other one is a detail.
_SKIPPED, _SAFE, _OPEN, _NUMBER, _ODD = range(5)
_KINDS = (
    dict.fromkeys(log_context.RESERVED | _OURS, _SKIPPED)
    | dict.fromkeys(("id", "details"), _ODD)
    | {name: _OPEN if name in _SHOWN else _SAFE for name in _TEXTS}
    | dict.fromkeys(_NUMBERS, _NUMBER)
)
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
# Line ends of other standards that JSON leaves as they are.
_OTHER_LINE_ENDS = (
    (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"), (b"\xc2\x85", b"\\u0085"),
)  # fmt: skip
_HOST = socket.gethostname()


class JSONFormatter(logging.Formatter):
    """Format a record as one line of valid JSON, whatever went in, with no secret in it.

    A record longer than `max_bytes` loses its longest fields and names them in
    `details.truncated`.
    """

    def __init__(self, release: str | None = None, max_bytes: int = 16_384) -> None:
        super().__init__()
        self._release = release
        self._max_bytes = max_bytes

    def format(self, record: logging.LogRecord) -> str:
        return self.line(record)[:-1].decode()

    def line(self, record: logging.LogRecord) -> bytes:
        """Return the line with its line feed; other handlers, and the outbox, get the same one."""
        given = vars(record)
        rendered: bytes | None = given.get("rendered_line")
        if rendered is None:
            rendered = given["rendered_line"] = self._render(record) + b"\n"
        return rendered

    def _render(self, record: logging.LogRecord) -> bytes:
        try:
            data = self.to_dict(record)
            line = to_json(data)
            return line if len(line) < self._max_bytes else fit(data, self._max_bytes - 1, to_json)
        except Exception as error:  # noqa: BLE001 - a record may be poor, but it may not be lost
            bare = _head(record, "a record that could not be formatted")
            return to_json({**bare, "request_id": None, "details": {"reason": type_name(error)}})

    def to_dict(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the record by the names of the contract, redacted; absent fields are absent.

        Every handler of a record gets the same one.
        """
        given = vars(record)
        data: dict[str, Any] | None = given.get("rendered_fields")
        if data is None:
            data = given["rendered_fields"] = self._make_dict(record)
        return data

    def _make_dict(self, record: logging.LogRecord) -> dict[str, Any]:
        data = _head(record, _message(record))
        texts = [data["message"]]
        details = _take_fields(log_context.fields_of(record), data, texts)
        if record.stack_info:
            details["stack"] = record.stack_info
        data["host"], data["pid"] = _HOST, record.process or os.getpid()
        if self._release:
            data["release"] = self._release
        if record.exc_info and (exception := _exception(record)) is not None:
            data["exception"] = plain_copy(exception, texts)
        if details:
            data["details"] = plain_mapping(details, texts)
        if may_show_secret(texts):
            data |= {name: mask(data[name]) for name in _SHOWN if name in data}
        return data


# For a record that no file has taken.
_JSON = JSONFormatter()


class TextFormatter(logging.Formatter):
    """Format a record for a person at a console; CR and LF in values cannot fake a line."""

    def format(self, record: logging.LogRecord) -> str:
        data = _JSON.to_dict(record)
        parts = [_clock(int(record.created)), f"{record.levelname:<8}", _headline(data)]
        parts += [
            f"{name}={data[name]}"
            for name in ("account", "target_id", "statement")
            if data.get(name)
        ]
        parts += [
            f"{name}={value}"
            for name, value in data.get("details", {}).items()
            if name not in ("queries", "user_agent")
        ]
        if data["request_id"]:
            parts.append(f"[{data['request_id']}]")
        text = _one_line(" ".join(parts))
        if "exception" in data:
            # Indented, so that no line of an exception's text looks like a record.
            lines = data["exception"]["traceback"].splitlines()
            text += "".join(f"\n    {_one_line(line)}" for line in lines)
        return text


def to_json(data: Mapping[str, Any]) -> bytes:
    """Return one line of JSON, without its line end."""
    try:
        line = orjson.dumps(data, option=orjson.OPT_UTC_Z)
    except (TypeError, ValueError):
        # Lone surrogates: orjson refuses them, and so does every reader.
        text = json.dumps(data, ensure_ascii=False, default=text_of, allow_nan=False)
        line = text.encode("utf-8", "replace")
    if not line.isascii():
        for raw, escaped in _OTHER_LINE_ENDS:
            line = line.replace(raw, escaped)
    return line


def timestamp(created: float) -> str:
    """Return an instant as RFC 3339 in UTC, with microseconds."""
    micros = round(created * 1_000_000)
    return f"{_to_the_second(micros // 1_000_000)}.{micros % 1_000_000:06}Z"


@lru_cache(maxsize=16)
def _to_the_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=16)
def _clock(second: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(second))


def _head(record: logging.LogRecord, message: str) -> dict[str, Any]:
    given = vars(record).get("id")
    return {
        "id": given if given is not None and _is_id(given) else new_id(),
        "timestamp": timestamp(record.created),
        "level": record.levelname,
        "logger": record.name,
        "message": message,
    }


def _take_fields(
    given: Iterable[tuple[str, Any]], data: dict[str, Any], texts: list[str]
) -> dict[str, Any]:
    """Take what has a field of its own; add to `texts` what may show a secret; return the rest."""
    rest = {}
    for name, value in given:
        kind = _KINDS.get(name)
        if kind is None:
            rest[name] = value
        elif kind == _SKIPPED:
            continue
        elif kind == _ODD:
            _take_odd_one(name, value, rest)
        elif value is None:
            data.pop(name, None)
        elif kind == _NUMBER:
            sound = type(value) in _NUMERIC and -_BIG <= value < _BIG
            (data if sound else rest)[name] = value
        else:
            # Asked here what text_of() asks: a call takes longer than the answer.
            data[name] = value = value if type(value) is str else text_of(value)
            if kind == _OPEN:
                texts.append(value)
    # A record made outside a request says so.
    data.setdefault("request_id", None)
    return rest


def _take_odd_one(name: str, value: Any, rest: dict[str, Any]) -> None:
    if name == "details" and isinstance(value, (dict, Mapping)):
        rest.update(value)
    elif value is not None and (name == "details" or not _is_id(value)):
        rest[name] = value


def _message(record: logging.LogRecord) -> str:
    if type(record.msg) is str and not record.args:
        return record.msg
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit the message are the caller's slip
        return text_of(record.msg)


def _is_id(value: Any) -> bool:
    # Somebody's `extra={"id": item.id}` is no identity: the store would take two for one.
    return isinstance(value, str) and _UUID7.fullmatch(value) is not None


def _exception(record: logging.LogRecord) -> dict[str, str] | None:
    info = record.exc_info
    # `exc_info=True` outside an `except` is the truthy (None, None, None).
    if isinstance(info, tuple) and info[1] is not None:
        return exceptions.describe(info[1])
    return None


def _headline(data: Mapping[str, Any]) -> str:
    if "action" not in data:
        return f"{data['logger']}: {data['message']}"
    if data["action"] != "request":
        outcome = data.get("outcome", "success")
        asked = [data[name] for name in ("method", "path") if data.get(name)]
        return " ".join([data["message"], *([outcome] if outcome != "success" else []), *asked])
    of_request = f"{data.get('method', '')} {data.get('path', '')}"
    return f"{of_request} {data.get('status', '')} {data.get('duration_ms')} ms"


def _one_line(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
