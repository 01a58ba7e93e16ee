"""How a record is shown: times, durations, headlines and tracebacks as a page needs them."""

import json
import re
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Record = Mapping[str, Any]

# The contract's fields in the order a person asks for them; the page shows other ones last.
_ORDER = (
    "timestamp", "level", "action", "message", "outcome", "account", "user_id", "target_type",
    "target_id", "method", "path", "route", "status", "duration_ms", "db_ms", "db_count",
    "statement", "request_id", "parent_request_id", "remote_addr", "logger", "host", "pid",
    "release", "id", "source", "seq", "keep",
)  # fmt: skip
_APART = {"exception", "details"}
_SHOWN_APART = {"place", "user_agent"}
_BRIEF = 160
_LEVEL_LOOKS = {
    "DEBUG": "debug", "INFO": "info", "WARNING": "warning", "ERROR": "error", "CRITICAL": "critical"
}  # fmt: skip
_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line \d+')
_LIBRARY = ("site-packages", "dist-packages", "/lib/python", "<frozen")


def moment(timestamp: str | None) -> datetime | None:
    """Return a record's time in UTC, or None where it is absent or unreadable."""
    try:
        parsed = datetime.fromisoformat(timestamp or "")
        return parsed.replace(tzinfo=parsed.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def day(timestamp: str | None) -> str:
    """Return the date part, for a person."""
    parsed = moment(timestamp)
    return parsed.strftime("%Y-%m-%d") if parsed else ""


def clock(timestamp: str | None) -> str:
    """Return the time of day to the millisecond."""
    parsed = moment(timestamp)
    return parsed.strftime("%H:%M:%S.%f")[:-3] if parsed else str(timestamp or "")


def duration(milliseconds: Any) -> str:
    """Return a duration in the unit a person would use; what is no number stays as it is."""
    if milliseconds is None:
        return "-"
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        return str(milliseconds)
    if milliseconds < 1000:
        digits = 0 if milliseconds >= 100 else 1
        return f"{milliseconds:.{digits}f} ms"
    seconds = milliseconds / 1000
    return f"{seconds:.2f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def size(number: int) -> str:
    """Return a number of bytes in the unit a person would use."""
    amount = float(number)
    for unit in ("bytes", "KB", "MB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GB"


def level_look(level: str | None) -> str:
    """Return the name of a level's look in admin.css."""
    return _LEVEL_LOOKS.get(level or "", "info")


def status_look(status: Any) -> str:
    """Return the name of a status class's look in admin.css."""
    return f"status-{str(status)[:1]}xx" if re.fullmatch(r"[1-5]\d\d", str(status)) else ""


def summary(record: Record) -> str:
    """Return what happened in words; where the action says it, the details that go with it."""
    exception = record.get("exception") or {}
    if exception.get("type"):
        message = exception.get("message")
        return f"{exception['type']}: {message}" if message else str(exception["type"])
    message = str(record.get("message") or "")
    repeats_action = message.replace(" ", "_") == record.get("action")
    return str(record.get("statement") or (_brief(record) if repeats_action else message))


def place(record: Record) -> str | None:
    """Return where in the project an error happened, where the record says so."""
    found = _details(record).get("place")
    return str(found) if found else None


def queries(record: Record) -> list[dict[str, Any]]:
    """Return the SQL a request ran, where the record has it."""
    return _objects(record, "queries")


def n_plus_one(record: Record) -> list[dict[str, Any]]:
    """Return the statements that one line of a request repeated: a probable N+1 each."""
    return _objects(record, "n_plus_one")


def _objects(record: Record, name: str) -> list[dict[str, Any]]:
    found = _details(record).get(name)
    objects = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    # Another program may write records, too: what is no number counts once.
    return [one if type(one.get("count")) is int else {**one, "count": 1} for one in objects]


def as_curl(record: Record, site: str) -> str:
    """Return a command that sends a request again, with $TOKEN for whoever sent it.

    What the log does not keep, such as the body, is not in it; what it masked stays masked.
    """
    method, path = str(record.get("method") or "GET"), str(record.get("path") or "/")
    words = ["curl", "-g", "-i"]
    if method != "GET":
        words += ["-X", shlex.quote(method)]
    if record.get("user_id"):
        words.append('-H "Authorization: Bearer $TOKEN"')
    return " ".join([*words, shlex.quote(f"{site.rstrip('/')}/{path.lstrip('/')}")])


def fields(record: Record) -> list[tuple[str, Any]]:
    """Return (name, value) of every plain field that has a value, in reading order."""
    names = [*_ORDER, *sorted(set(record) - set(_ORDER) - _APART)]
    return [(name, record[name]) for name in names if record.get(name) is not None]


def detail_fields(record: Record) -> list[tuple[str, str]]:
    """Return (name, text) of each detail; the queries have a table of their own."""
    details = record.get("details")
    if not isinstance(details, Mapping):
        return [("details", as_text(details))] if details else []
    shown_apart = {"queries"} if queries(record) else set()
    return [(str(k), as_text(v)) for k, v in details.items() if k not in shown_apart]


def _brief(record: Record) -> str:
    shown = [
        f"{name}: {value}"
        for name, value in _details(record).items()
        if isinstance(value, str | int | float) and name not in _SHOWN_APART
    ]
    return ", ".join(shown)[:_BRIEF]


def _details(record: Record) -> Mapping[str, Any]:
    details = record.get("details")
    return details if isinstance(details, Mapping) else {}


def as_text(value: Any) -> str:
    """Return a value as text: JSON for what has parts."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def traceback_lines(text: str | None) -> list[tuple[str, bool]]:
    """Return each line of a traceback with whether it belongs to a frame of this project.

    A path tells: what is in no library folder is ours, also when another host wrote the record.
    """
    lines: list[tuple[str, bool]] = []
    ours = False
    for line in (text or "").splitlines():
        if frame := _FRAME.match(line):
            ours = not any(part in frame["file"] for part in _LIBRARY)
        elif not line.startswith("    "):
            ours = False
        lines.append((line, ours))
    return lines
