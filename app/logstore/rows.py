"""A record as a row of the table `logs`, and back."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

import orjson

from app.logstore.cleaning import clean_text
from app.logstore.field_limits import EXCEPTION_TEXTS
from app.logstore.record import LogRecord, to_timestamp
from app.models.log import Log

COLUMNS = tuple(column.name for column in Log.__table__.columns)
_PLAIN = tuple(
    name for name in COLUMNS
    if name not in {"timestamp", "details", "source", "seq"} and not name.startswith("exception_")
)  # fmt: skip
_EXCEPTION = tuple((name, f"exception_{name}") for name in EXCEPTION_TEXTS)
# What stands in a row under another name than in its record, and all the others.
_MADE = ("timestamp", "details", *(column for _, column in _EXCEPTION))
INSERTED = (*_MADE, *(name for name in COLUMNS if name not in _MADE))
_others = itemgetter(*INSERTED[len(_MADE) :])
_parts = itemgetter(*EXCEPTION_TEXTS)
_NO_PARTS = (None,) * len(EXCEPTION_TEXTS)


def to_row(record: LogRecord, source: str, seq: int) -> dict[str, Any]:
    """Give a record the number that its host has for it, and what it is counted by.

    In place: a copy of each would take its time.
    """
    row: Any = record
    row["source"], row["seq"] = source, seq
    row["exception_fingerprint"] = row["exception"] and row["exception"].get("fingerprint")
    return row  # type: ignore[no-any-return]


def sqlite_values(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return a row as SQLite's driver takes it, in the order of INSERTED."""
    stamp = row["timestamp"]
    # As SQLAlchemy spells a DateTime.
    return _values(f"{stamp[:10]} {stamp[11:26]}", row)


def postgresql_values(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return a row as PostgreSQL takes it, in the order of INSERTED."""
    return _values(row["timestamp"], row)


def _values(moment: str, row: Mapping[str, Any]) -> tuple[Any, ...]:
    parts = _parts(row["exception"]) if row["exception"] else _NO_PARTS
    return (moment, orjson.dumps(row["details"]).decode(), *parts, *_others(row))


def from_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a row as a record: every name of the contract, with `source`, `seq` and `keep`."""
    exception = {name: row[f"exception_{name}"] for name in EXCEPTION_TEXTS}
    record = {name: row[name] for name in _PLAIN}
    stamp = row["timestamp"]
    record["timestamp"] = stamp if isinstance(stamp, str) else to_timestamp(stamp)
    record["exception"] = exception if any(exception.values()) else None
    record["details"] = row["details"] or {}
    record["source"], record["seq"] = row["source"], row["seq"]
    return record


def column_for(field: str) -> str:
    """Return the column of a field that records can be counted by. Raises ValueError."""
    group, _, key = field.partition(".")
    name = f"exception_{key}" if group == "exception" else field
    if name not in COLUMNS or name == "details":
        raise ValueError(f"The log has no field {field!r}.")
    return name


def details_key(field: str) -> str | None:
    """Return the key in `details` that a field names, None for other fields."""
    group, _, key = field.partition(".")
    return clean_text(key) if group == "details" and key else None
