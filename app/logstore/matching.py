"""A LogQuery as a predicate: what every store must answer, said once in Python."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from app.logstore.cleaning import clean_text
from app.logstore.contract import LogQuery
from app.logstore.filters import SEARCHED, inside_json

Record = Mapping[str, Any]


def matches(query: LogQuery, record: Record) -> bool:
    """Tell whether a normalised record is one that the query selects."""
    low, high = query.id_bounds()
    if (low and record["id"] < low) or (high and record["id"] >= high):
        return False
    return _fits_names(query, record) and _fits_numbers(query, record) and has_text(query, record)


def has_text(query: LogQuery, record: Record) -> bool:
    """Tell whether a record has the query's text, in any letter case also beyond ASCII.

    The databases' own comparisons know that of ASCII only, or of one language: they may select
    too much, and this decides.
    """
    if not query.text:
        return True
    needle = clean_text(query.text)
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
    action = record["action"]
    if query.actions and action not in map(clean_text, query.actions):
        return False
    if action is not None and action in map(clean_text, query.without_actions):
        return False
    return not query.levels or record["level"] in (clean_text(one.upper()) for one in query.levels)


def _fits_numbers(query: LogQuery, record: Record) -> bool:
    status, duration = record["status"], record["duration_ms"]
    return (
        (query.status_min is None or (status is not None and status >= query.status_min))
        and (query.status_max is None or (status is not None and status <= query.status_max))
        and (
            query.min_duration_ms is None
            or (duration is not None and duration >= query.min_duration_ms)
        )
    )


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
