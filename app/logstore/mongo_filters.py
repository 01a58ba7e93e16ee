"""A LogQuery as conditions of MongoDB; every value is compared, none is ever an operator."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from app.logstore.cleaning import clean_text
from app.logstore.contract import LogQuery
from app.logstore.filters import (
    LONGEST,
    SEARCHED,
    actions_are_rare,
    alternatives,
    in_32_bits,
    inside_json,
    is_exact,
    levels_are_rare,
    status_is_rare,
    upper,
    wants_failures,
)

Condition = dict[str, Any]


def indexed(query: LogQuery) -> list[Condition]:
    """Return the conditions that the key or another index serves."""
    low, high = query.id_bounds()
    found: list[Condition] = []
    if low:
        found.append({"_id": {"$gte": low}})
    if high:
        found.append({"_id": {"$lt": high}})
    for name, value in (
        ("request_id", query.request_id),
        ("user_id", query.user_id),
        ("exception_fingerprint", query.fingerprint),
    ):
        if value is not None:
            found.append({name: {"$eq": _text(value)}})
    return [*found, *_of_few(query)]


def _of_few(query: LogQuery) -> Iterator[Condition]:
    """Yield what an index of few records serves."""
    if levels_are_rare(query):
        yield {"rare_level": {"$in": _texts(upper(query.levels))}}
    if actions_are_rare(query):
        yield {"rare_action": {"$in": _texts(query.actions)}}
    if status_is_rare(query):
        yield {"rare_status": {"$eq": query.status_min}}
    if wants_failures(query):
        yield {"failed": True}
    if parents := alternatives(query).get("parent_request_id"):
        yield {"parent_request_id": {"$in": _texts(parents)}}


def scanned(query: LogQuery) -> list[Condition]:
    """Return the conditions for which records have to be looked at, one after the other."""
    low, high = (None, None) if status_is_rare(query) else (query.status_min, query.status_max)
    found: list[Condition] = [
        compare(value)
        for value, compare in (
            (query.account, lambda value: {"account": {"$eq": _text(value)}}),
            (query.route, lambda value: {"route": {"$eq": _text(value)}}),
            (low, lambda value: {"status": {"$gte": in_32_bits(value)}}),
            (high, lambda value: {"status": {"$lte": in_32_bits(value)}}),
            (query.min_duration_ms, lambda value: {"duration_ms": {"$gte": float(value)}}),
            (query.max_duration_ms, lambda value: {"duration_ms": {"$lte": float(value)}}),
        )
        if value is not None
    ]
    if query.levels and not levels_are_rare(query):
        found.append({"level": {"$in": _texts(upper(query.levels))}})
    if query.actions and not actions_are_rare(query):
        found.append({"action": {"$in": _texts(query.actions)}})
    found += [
        {name: {"$in": _texts(values)}}
        for name, values in alternatives(query).items()
        if name != "parent_request_id"
    ]
    found += [_contains(_text(value)) for value in query.texts if value]
    unwanted = [all_of([*indexed(one), *scanned(one)]) for one in query.without if is_exact(one)]
    return [*found, {"$nor": unwanted}] if unwanted else found


def all_of(conditions: Sequence[Condition]) -> Condition:
    """Return the filter for what fulfils every condition."""
    return {"$and": list(conditions)} if conditions else {}


def _text(value: str) -> str:
    # An expression of MongoDB in the place of a text would be carried out.
    if not isinstance(value, str):
        raise TypeError(f"A text is asked for, not {type(value).__name__}.")
    return clean_text(value)


def _texts(values: Sequence[str]) -> list[str]:
    return [_text(value) for value in values]


def _contains(needle: str) -> Condition:
    found = [{name: _like(needle)} for name in SEARCHED]
    return {"$or": [*found, {"details": _like(inside_json(needle))}]}


def _like(needle: str) -> Condition:
    # MongoDB refuses long patterns; holds() looks at them whole.
    needle = needle[:LONGEST]
    if not needle.isascii():
        return {"$regex": re.escape(needle), "$options": "i"}
    # Told to disregard the case, MongoDB takes a Kelvin sign for a k.
    either = (f"[{c.lower()}{c.upper()}]" if c.isalpha() else re.escape(c) for c in needle)
    return {"$regex": "".join(either)}
