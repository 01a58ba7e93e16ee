"""How the log commands print: a line a record for a person, an object a line for a program."""

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from app.services.log_export import json_line

_COLOURS = {"DEBUG": "bright_black", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}
_BAR_WIDTH = 40


def show(text: str) -> None:
    """Print a line; styles are dropped where there is no terminal, or NO_COLOR is set."""
    click.echo(text, color=False if os.environ.get("NO_COLOR") else None)


def show_records(records: Iterable[Mapping[str, Any]], as_json: bool) -> None:
    """Print records in the order given."""
    for record in records:
        show(json_line(record) if as_json else text_line(record))


def text_line(record: Mapping[str, Any]) -> str:
    """Return a record as one line: time, level, action, what happened, who, request ID."""
    level = str(record.get("level") or "")
    parts = [
        click.style(stamp(record.get("timestamp")), dim=True),
        click.style(
            f"{level:<8}", fg=_COLOURS.get(level), bold=True if level == "CRITICAL" else None
        ),
        f"{one_line(record.get('action') or '-'):<14}",
        one_line(_what(record)),
    ]
    who = record.get("account") or (record.get("user_id") and f"user {record['user_id']}")
    if who:
        parts.append(click.style(one_line(who), fg="cyan"))
    if request_id := record.get("request_id"):
        parts.append(click.style(f"[{one_line(request_id)}]", dim=True))
    return " ".join(parts)


def show_table(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print rows of equal names with a header, numbers on the right."""
    if as_json:
        for row in rows:
            show(json_line(row))
        return
    texts = [{name: one_line(_cell(value)) for name, value in row.items()} for row in rows]
    names = list(rows[0]) if rows else []
    widths = {name: max(len(name), *(len(text[name]) for text in texts)) for name in names}
    numbers = {name for name in names if isinstance(rows[0][name], int)}
    header = {name: name.replace("_", " ") for name in names}
    for number, line in enumerate([header, *texts]):
        cells = (
            line[name].rjust(widths[name]) if name in numbers else line[name].ljust(widths[name])
            for name in names
        )  # fmt: skip
        text = "  ".join(cells).rstrip()
        show(text) if number else show_heading(text)


def show_heading(text: str) -> None:
    """Print the line above a table."""
    show(click.style(text, bold=True))


def bar(count: int, highest: int) -> str:
    """Return a bar for one of several counts; any count but zero shows."""
    if not count:
        return ""
    return "#" * max(1, round(_BAR_WIDTH * count / max(highest, 1)))


def stamp(timestamp: Any) -> str:
    """Return a time in UTC to the millisecond, in columns."""
    try:
        moment = datetime.fromisoformat(str(timestamp)).astimezone(UTC)
    except (ValueError, OverflowError):
        return one_line(timestamp or "")
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def one_line(value: Any) -> str:
    """Return text that can neither start a line nor command a terminal."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(value))


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
    return "-" if value is None else str(value)


def _words(record: Mapping[str, Any]) -> str:
    """Return a record's message, or nothing where it only repeats the action."""
    message = str(record.get("message") or "")
    return "" if message.replace(" ", "_") == record.get("action") else message


def _what(record: Mapping[str, Any]) -> str:
    exception = record.get("exception") or {}
    details = record.get("details") or {}
    said = record.get("statement") or _words(record)
    if exception.get("type"):
        said = ": ".join(filter(None, (exception["type"], exception.get("message"))))
    asked = " ".join(str(record[name]) for name in ("method", "path") if record.get(name))
    parts = [asked] if record.get("action") == "request" else [str(said), asked]
    if record.get("status") is not None:
        parts.append(str(record["status"]))
    if record.get("duration_ms") is not None:
        parts.append(f"{record['duration_ms']:.1f} ms")
    if record.get("target_id"):
        parts.append(f"{record.get('target_type') or 'target'} {record['target_id']}")
    if record.get("outcome") not in (None, "success"):
        why = details.get("fields") or details.get("reason") or ""
        parts.append(f"{record['outcome']} {why}".rstrip())
    if details.get("place") or details.get("line"):
        parts.append(f"({details.get('place') or details['line']})")
    return "  ".join(part for part in parts if part)
