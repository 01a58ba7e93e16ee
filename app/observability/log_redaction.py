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

from app.observability.secret_patterns import SENSITIVE_NAME, mask_patterns, matches

MASK = "[redacted]"
_MAX_DEPTH = 8
_MAX_ITEMS = 200
_MAX_NODES = 10_000  # In all: a list that holds itself 200 times would never end.
_MAX_TEXT = 1_048_576  # Characters; the longest line there can be is no longer.
_LONGEST_SECRET = 4096
_MAX_REMEMBERED = 2000  # Characters of all texts of a record.
_MIN_LITERAL = 6  # Masking shorter values would eat ordinary words.

# Names that contain such a word and hold nothing secret.
_HARMLESS_KEYS = frozenset({"session_version", "password_changed", "token_type"})
# Neither quoting nor escaping changes these.
_SPELLED_ONE_WAY = re.compile(r"[A-Za-z0-9_.~-]*")
_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

# Names, messages and browsers come again and again: each is searched once.
_matches = lru_cache(maxsize=1024)(matches)
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
    if _SPELLED_ONE_WAY.fullmatch(value):
        return {value}
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
    for literal in _of_request():
        if literal in text:
            text = text.replace(literal, MASK)
    text = mask_patterns(text, MASK)
    return text[:_MAX_TEXT] + "…" if cut else text


def redact(value: Any) -> Any:
    """Return a copy of `value` that is safe to show and plain enough for JSON.

    Mappings and sequences keep their shape down to a depth of 8 and 200 items; anything that
    JSON does not know becomes its text. Never raises.
    """
    texts: list[str] = []
    plain = plain_copy(value, texts)
    return mask(plain) if may_show_secret(texts) else plain


def may_show_secret(texts: list[str]) -> bool:
    """Tell whether mask() would change a value that consists of these texts.

    They are searched for anything that a secret could be known by. Hardly ever is there any, and
    then nothing has to be masked one by one.
    """
    text = "\n".join(texts)
    source = _request_secrets.get()
    literals = _process_secrets if source is None else (*_process_secrets, *source())
    for literal in literals:
        if literal in text:
            return True
    if len(text) > _MAX_REMEMBERED:
        return len(text) > _MAX_TEXT or matches(text)
    return True in map(_matches, texts)


def _of_request() -> Iterable[str]:
    source = _request_secrets.get()
    return () if source is None else source()


def plain_copy(value: Any, texts: list[str], depth: int = 0) -> Any:
    """Return a copy that JSON can hold, and add every text in it to `texts`.

    What a name says to be a secret is masked already; mask() does the rest.
    """
    if type(value) is str:
        texts.append(value)
        return value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return _plain_number(value)
    if not isinstance(value, (dict, Mapping, list, tuple, set, frozenset)):
        texts.append(text_of(value))
        return texts[-1]
    # It counts as well: a list of empty lists has no text.
    texts.append("")
    if depth >= _MAX_DEPTH or len(texts) > _MAX_NODES:
        return "…"
    try:
        if isinstance(value, (dict, Mapping)):
            return plain_mapping(value, texts, depth)
        return _plain_list(list(value)[:_MAX_ITEMS], texts, depth)
    except Exception:  # noqa: BLE001 - a container may fail to be read, or change meanwhile
        return f"<{type(value).__name__}>"


def _plain_number(value: int | float) -> int | float | str:
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**63 else text_of(value)
    # Infinity and "not a number" are no JSON.
    return float(value) if value - value == 0 else text_of(value)


def plain_mapping(mapping: Mapping[Any, Any], texts: list[str], depth: int = 0) -> dict[str, Any]:
    """Return what plain_copy() does of a mapping that can be read."""
    result = {}
    if "value" in mapping:
        mapping = _without_named_value(mapping)
    for key, item in list(mapping.items())[:_MAX_ITEMS]:
        name = text_of(key)
        texts.append(name)
        if is_sensitive(name):
            result[name] = _hidden(item)
        elif type(item) is str:
            texts.append(item)
            result[name] = item
        else:
            result[name] = plain_copy(item, texts, depth + 1)
    return result


def _plain_list(items: list[Any], texts: list[str], depth: int) -> list[Any]:
    result = [plain_copy(item, texts, depth + 1) for item in items]
    # Perhaps a pair of a name and its value, as headers and forms are listed.
    if len(result) == 2 and isinstance(result[0], str) and is_sensitive(result[0]):
        result[1] = _hidden(items[1])
    return result


def _hidden(item: Any) -> Any:
    # Whether there is a secret at all says nothing about it.
    empty = item is None or isinstance(item, bool) or (isinstance(item, str) and not item)
    return item if empty else MASK


def mask(plain: Any) -> Any:
    """Return what plain_copy() gave with the secrets in its texts masked."""
    if isinstance(plain, str):
        return redact_text(plain)
    if isinstance(plain, dict):
        return {redact_text(key): mask(item) for key, item in plain.items()}
    return [mask(item) for item in plain] if isinstance(plain, list) else plain


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
