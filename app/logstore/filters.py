"""What the filters of every store have in common: which values are rare, which texts are searched.

No database compares letters beyond ASCII in any case as Python does: a store may find too much,
and `matching.holds` looks again. So what is to stay out is told to a store only if it is exact.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import orjson

from app.logstore.cleaning import clean_text
from app.logstore.contract import LogQuery

SEARCHED = (
    "message", "path", "account", "statement",
    "exception_type", "exception_message",
)  # fmt: skip
# Fields that a query's `equal` may name; but for the first, none has an index of its own.
PLAIN = (
    "parent_request_id", "method", "path", "outcome", "remote_addr", "host", "release", "logger",
    "target_type", "target_id", "account",
)  # fmt: skip
LONGEST = 1_000  # Characters; no store is asked for a longer pattern.
COMMON_LEVELS = frozenset({"DEBUG", "INFO"})
COMMON_ACTION = "request"
# Statuses that say who was refused what.
REFUSALS = (401, 403, 429)
# From here on a status says that we failed.
FAILURES = 500


def upper(levels: Iterable[str]) -> list[str]:
    """Return levels as records spell them."""
    return [level.upper() for level in levels]


def levels_are_rare(query: LogQuery) -> bool:
    """Tell whether the query is for levels that an index of few records serves."""
    return bool(query.levels) and not COMMON_LEVELS & set(upper(query.levels))


def actions_are_rare(query: LogQuery) -> bool:
    """Tell whether the query is for actions that an index of few records serves."""
    return bool(query.actions) and COMMON_ACTION not in query.actions


def status_is_rare(query: LogQuery) -> bool:
    """Tell whether the query is for a status that an index of few records serves."""
    return query.status_min == query.status_max and query.status_min in REFUSALS


def wants_failures(query: LogQuery) -> bool:
    """Tell whether the query is for requests that failed, which an index of few records serves."""
    return query.status_min is not None and query.status_min >= FAILURES


def is_exact(query: LogQuery) -> bool:
    """Tell whether every store's own conditions select just what the query does."""
    return all(
        text.isascii() and len(text) <= LONGEST for text in map(clean_text, query.texts)
    ) and all(is_exact(one) for one in query.without)


def alternatives(query: LogQuery) -> Mapping[str, list[str]]:
    """Return the values of each field in `equal`. Raises ValueError for a field that is none."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, value in query.equal:
        if name not in PLAIN:
            raise ValueError(f"No query can ask for the field {name!r}.")
        found[name].append(clean_text(value))
    return found


def in_32_bits(value: int) -> int:
    """Return a bound of a status as every store can compare it."""
    return max(min(value, 2**31 - 1), -(2**31))


def inside_json(needle: str) -> str:
    """Return a text as it stands in JSON, where a quotation mark has a backslash before it."""
    return orjson.dumps(needle).decode()[1:-1]
