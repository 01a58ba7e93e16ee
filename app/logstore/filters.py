"""What the filters of every store have in common: which values are rare, which texts are searched.

No database compares letters beyond ASCII in any case as Python does: a store may find too much,
and `matching.has_text` looks again.
"""

from collections.abc import Iterable

import orjson

from app.logstore.contract import LogQuery

SEARCHED = (
    "message", "path", "account", "statement",
    "exception_type", "exception_message",
)  # fmt: skip
COMMON_LEVELS = frozenset({"DEBUG", "INFO"})
COMMON_ACTION = "request"


def upper(levels: Iterable[str]) -> list[str]:
    """Return levels as records spell them."""
    return [level.upper() for level in levels]


def levels_are_rare(query: LogQuery) -> bool:
    """Tell whether the query is for levels that an index of few records serves."""
    return bool(query.levels) and not COMMON_LEVELS & set(upper(query.levels))


def actions_are_rare(query: LogQuery) -> bool:
    """Tell whether the query is for actions that an index of few records serves."""
    return bool(query.actions) and COMMON_ACTION not in query.actions


def in_32_bits(value: int) -> int:
    """Return a bound of a status as every store can compare it."""
    return max(min(value, 2**31 - 1), -(2**31))


def inside_json(needle: str) -> str:
    """Return a text as it stands in JSON, where a quotation mark has a backslash before it."""
    return orjson.dumps(needle).decode()[1:-1]
