"""A LogQuery as a predicate: what every store must answer, said once in Python."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from app.logstore.cleaning import clean_text
from app.logstore.contract import LogQuery
from app.logstore.filters import SEARCHED, alternatives, inside_json, is_exact

Record = Mapping[str, Any]


def matches(query: LogQuery, record: Record) -> bool:
    """Tell whether a normalised record is one that the query selects."""
    low, high = query.id_bounds()
    if (low and record["id"] < low) or (high and record["id"] >= high):
        return False
    return (
        _fits_names(query, record)
        and _fits_numbers(query, record)
        and all(_has_text(text, record) for text in query.texts)
        and not any(matches(one, record) for one in query.without)
    )


def holds(query: LogQuery, record: Record) -> bool:
    """Tell whether a record that a database selected for the query is one indeed.

    The databases' own comparisons know letters' cases of ASCII only, or of one language: they may
    select too much, and this decides.
    """
    return all(_has_text(text, record) for text in query.texts) and not any(
        matches(one, record) for one in query.without if not is_exact(one)
    )


def _has_text(text: str, record: Record) -> bool:
    needle = clean_text(text)
    if _contains(orjson.dumps(record["details"]).decode(), inside_json(needle)):
        return True
    exception = record["exception"] or {}
    texts = [record.get(name) for name in SEARCHED]
    texts += [exception.get("type"), exception.get("message")]
    return any(_contains(text, needle) for text in texts if text)


def _fits_names(query: LogQuery, record: Record) -> bool:
    exception = record["exception"] or {}
    if any(
        wanted is not None and found != clean_text(wanted)
        for wanted, found in (
            (query.request_id, record["request_id"]),
            (query.user_id, record["user_id"]),
            (query.account, record["account"]),
            (query.route, record["route"]),
            (query.fingerprint, exception.get("fingerprint")),
        )
    ):
        return False
    if query.actions and record["action"] not in map(clean_text, query.actions):
        return False
    if any(record[name] not in values for name, values in alternatives(query).items()):
        return False
    return not query.levels or record["level"] in (clean_text(one.upper()) for one in query.levels)


def _fits_numbers(query: LogQuery, record: Record) -> bool:
    return _is_within(record["status"], query.status_min, query.status_max) and _is_within(
        record["duration_ms"], query.min_duration_ms, query.max_duration_ms
    )


def _is_within(value: float | None, low: float | None, high: float | None) -> bool:
    if value is None:
        return low is None and high is None
    return (low is None or value >= low) and (high is None or value <= high)


def _contains(text: str, needle: str) -> bool:
    if needle.isascii():
        # Bytes know only the letter cases of ASCII, as the databases do.
        return needle.encode().lower() in text.encode().lower()
    return _folded(needle) in _folded(text)


def _folded(text: str) -> str:
    return text.lower() if text.isascii() else "".join(map(_fold, text))


@lru_cache(maxsize=4096)
def _fold(char: str) -> str:
    """Return a letter's small form if it is one letter, within ASCII or beyond it as this one."""
    small = char.lower()
    return small if len(small) == 1 and small.isascii() == char.isascii() else char
