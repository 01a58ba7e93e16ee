"""What the fields of a record may hold, and whether those of one all do."""

from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter, le
from typing import Any, NamedTuple

# Characters. What an index holds stays far below PostgreSQL's 2,704 bytes; what is cut is told
# in details.truncated.
TEXTS = {
    "level": 16, "logger": 200, "message": 65_536, "action": 64, "request_id": 64,
    "parent_request_id": 64, "user_id": 64, "account": 254, "method": 16, "path": 4096,
    "route": 255, "remote_addr": 64, "host": 255, "release": 64, "target_type": 64,
    "target_id": 255, "outcome": 32, "statement": 65_536,
}  # fmt: skip
EXCEPTION_TEXTS = {"type": 255, "message": 65_536, "traceback": 262_144, "fingerprint": 64}
# What no answer can have as a status is none: filters and counts would tell it apart.
INTEGERS = {
    "status": range(100, 1000), "db_count": range(-(2**31), 2**31), "pid": range(-(2**63), 2**63)
}  # fmt: skip
FLOATS = ("duration_ms", "db_ms")
MOST = 1e15
# What has rules of its own.
OTHERS = frozenset({"id", "timestamp", "exception", "details", "keep"})
_KNOWN = OTHERS.union(TEXTS, INTEGERS, FLOATS)


def all_fit(raw: dict[str, Any]) -> bool:
    """Tell whether all texts and numbers are as every store takes them; False if in doubt.

    All texts are asked at once, which takes half as long as one by one.
    """
    asked = _questions(tuple(raw))
    if asked is None:
        return False
    texts = asked.texts(raw)
    try:
        joined = "".join(texts)
    except TypeError:
        return False
    if not joined.isascii() or "\0" in joined or not all(map(le, map(len, texts), asked.limits)):
        return False
    for name, within in asked.integers:
        if type(value := raw[name]) is not int or value not in within:
            return False
    for name in asked.floats:
        if type(value := raw[name]) is not float or not -MOST < value < MOST:
            return False
    return True


class _Questions(NamedTuple):
    texts: Callable[[dict[str, Any]], tuple[Any, ...]]
    limits: tuple[int, ...]
    integers: tuple[tuple[str, range], ...]
    floats: tuple[str, ...]


# Our own lines have a few dozen sets of names; others may make them up.
@lru_cache(maxsize=256)
def _questions(names: tuple[str, ...]) -> _Questions | None:
    """Return what to ask of records with these names; None if one has no place in a record."""
    texts = [name for name in names if name in TEXTS]
    if len(texts) < 2 or not _KNOWN.issuperset(names):
        return None
    return _Questions(
        itemgetter(*texts),
        tuple(TEXTS[name] for name in texts),
        tuple((name, INTEGERS[name]) for name in names if name in INTEGERS),
        tuple(name for name in names if name in FLOATS),
    )
