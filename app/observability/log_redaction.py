"""The one redactor: nothing secret reaches a log, a mail, a page or Sentry.

Three nets, each for what the others cannot see: names of keys ("password": …), patterns in
text ("Bearer …", "://user:password@"), and the literal secrets of this process and request.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

from app.observability.secret_patterns import SENSITIVE_NAME, mask_patterns

MASK = "[redacted]"
_MAX_DEPTH = 8
_MAX_ITEMS = 200
_MAX_NODES = 5000  # In all: a list that holds itself 200 times would never end.
_MAX_TEXT = 1_048_576  # Characters; the longest line there can be is no longer.
_LONGEST_SECRET = 4096
_MIN_LITERAL = 6  # Masking shorter values would eat ordinary words.

# Names that contain such a word and hold nothing secret.
_HARMLESS_KEYS = frozenset({"session_version", "password_changed", "token_type"})
_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_process_secrets: list[str] = []
_request_secrets: ContextVar[Callable[[], Iterable[str]] | None] = ContextVar(
    "request_secrets", default=None
)


def add_secret(value: str) -> None:
    """Mask this literal in everything this process writes from now on."""
    if len(value) >= _MIN_LITERAL and value not in _process_secrets:
        _process_secrets[:] = longest_first({*_process_secrets, *spellings(value)})


def use_request_secrets(source: Callable[[], Iterable[str]] | None) -> None:
    """Set where this request's secret values come from, longest first; asked for each text."""
    _request_secrets.set(source)


def spellings(value: str) -> set[str]:
    """Return the forms in which a text may show a secret: quoted, escaped, as it is."""
    raw = value.encode("utf-8", "surrogatepass")
    return {
        value, quote(raw), quote_plus(raw), repr(value)[1:-1], repr(raw)[2:-1],
        json.dumps(value)[1:-1],
    }  # fmt: skip


def longest_first(values: Iterable[str]) -> list[str]:
    """Sort literals so that none is masked as a part of another, which would show the rest."""
    return sorted((one for one in values if len(one) >= _MIN_LITERAL), key=len, reverse=True)


def is_sensitive(key: str) -> bool:
    """Tell whether the value under a key of this name is a secret."""
    return _is_sensitive(key) if len(key) <= 100 else _is_sensitive.__wrapped__(key)


@lru_cache(maxsize=2048)
def _is_sensitive(key: str) -> bool:
    return key not in _HARMLESS_KEYS and bool(
        SENSITIVE_NAME.search(_CAMEL_HUMP.sub("_", key).lower())
    )


def redact_text(text: str) -> str:
    """Return `text` with every secret it shows masked."""
    # What is cut off later is not worth the search, but a secret at the edge is not cut in two.
    cut = len(text) > _MAX_TEXT
    if cut:
        text = text[: _MAX_TEXT + _LONGEST_SECRET]
    for literal in _process_secrets:
        if literal in text:
            text = text.replace(literal, MASK)
    source = _request_secrets.get()
    if source is not None:
        for literal in source():
            if literal in text:
                text = text.replace(literal, MASK)
    text = mask_patterns(text, MASK)
    return text[:_MAX_TEXT] + "…" if cut else text


def redact(value: Any) -> Any:
    """Return a copy of `value` that is safe to show and plain enough for JSON.

    Mappings and sequences keep their shape down to a depth of 8 and 200 items; anything that
    JSON does not know becomes its text. Never raises.
    """
    return _redact(value, 0, [_MAX_NODES])


def _redact(value: Any, depth: int, left: list[int]) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _redact_number(value)
    left[0] -= 1
    if not isinstance(value, Mapping | list | tuple | set | frozenset):
        return redact_text(text_of(value))
    if depth >= _MAX_DEPTH or left[0] < 0:
        return "…"
    try:
        if isinstance(value, Mapping):
            return _redact_mapping(value, depth, left)
        return _redact_sequence(list(value)[:_MAX_ITEMS], depth, left)
    except Exception:  # noqa: BLE001 - a container may fail to be read, or change meanwhile
        return f"<{type(value).__name__}>"


def _redact_number(value: int | float) -> int | float | str:
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**63 else text_of(value)
    # Infinity and "not a number" are no JSON.
    return float(value) if value - value == 0 else text_of(value)


def _redact_mapping(mapping: Mapping[Any, Any], depth: int, left: list[int]) -> dict[str, Any]:
    result = {}
    mapping = _without_named_value(mapping)
    for key, item in list(mapping.items())[:_MAX_ITEMS]:
        name = redact_text(text_of(key))
        result[name] = _masked(name, item) or _redact(item, depth + 1, left)
    return result


def _redact_sequence(items: list[Any], depth: int, left: list[int]) -> list[Any]:
    if len(items) == 2 and isinstance(items[0], str) and (mask := _masked(items[0], items[1])):
        # A pair of a name and its value, as headers and forms are listed.
        return [redact_text(text_of(items[0])), mask]
    return [_redact(item, depth + 1, left) for item in items]


def _masked(name: str, item: Any) -> str | None:
    # Whether there is a secret at all says nothing about it.
    if item is None or isinstance(item, bool) or (isinstance(item, str) and not item):
        return None
    return MASK if is_sensitive(name) else None


def _without_named_value(mapping: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Mask the value of a form's field: {"name": "password", "value": …}."""
    name = mapping.get("name", mapping.get("key"))
    if isinstance(name, str) and mapping.get("value") and is_sensitive(name):
        return {**mapping, "value": MASK}
    return mapping


def text_of(value: Any) -> str:
    """Return the text of anything, also of an object that cannot say what it is."""
    if type(value) is str:
        return value
    try:
        return str.__str__(value) if isinstance(value, str) else str(value)
    except Exception:  # noqa: BLE001 - it may not stop a record
        return f"<{type(value).__name__}>"
