"""Make any Python value one that every store can hold."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

_MAX_DEPTH = 32
_MAX_NODES = 20_000
_MAX_KEY = 200
_MAX_TEXT = 1_048_576
_BIG = 2**63
_FEW = 50
# PostgreSQL refuses NUL, every encoder a lone surrogate: both become the replacement character.
_UNSTORABLE = {0: "\ufffd"} | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


def is_plain(value: Any, limit: int) -> bool:
    """Tell whether a value is a text that stays as it is, as nearly every one is."""
    return type(value) is str and len(value) <= limit and value.isascii() and "\0" not in value


def clean_text(text: str) -> str:
    """Return text without NUL and lone surrogates."""
    if text.isascii():
        # Most text is, and looking for one character is faster than translating all.
        return text.replace("\0", "\ufffd") if "\0" in text else text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.translate(_UNSTORABLE)
    return text.replace("\0", "\ufffd") if "\0" in text else text


def clean_value(value: Any) -> Any:
    """Return a value that is valid JSON everywhere: finite, 64 bits, of bounded depth and size."""
    return value.copy() if _is_flat(value) else _Cleaner().clean(value, 0)


def _is_flat(value: Any) -> bool:
    """Tell whether a value is a mapping of a few plain texts, as most are."""
    if type(value) is not dict or len(value) > _FEW:
        return False
    for key, item in value.items():  # noqa: SIM110 - all() takes half as long again
        if not (is_plain(item, _MAX_TEXT) and is_plain(key, _MAX_KEY)):
            return False
    return True


def describe(value: Any) -> str:
    """Return str(value), also of an object that cannot say what it is."""
    if isinstance(value, str):
        return value if type(value) is str else str.__str__(value)
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a broken __str__ must not stop a record
        return f"<{type(value).__name__}>"


class _Cleaner:
    def __init__(self) -> None:
        self._nodes = 0

    def clean(self, value: Any, depth: int) -> Any:
        self._nodes += 1
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return value if is_plain(value, _MAX_TEXT) else clean_text(describe(value)[:_MAX_TEXT])
        if isinstance(value, int):
            return int(value) if -_BIG <= value < _BIG else _digits(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else str(float(value))
        if depth >= _MAX_DEPTH or self._nodes > _MAX_NODES:
            return "…"
        # Asked for by itself first: to ask for any mapping takes much longer.
        if isinstance(value, dict) or isinstance(value, Mapping):  # noqa: SIM101
            return self._mapping(value, depth)
        if isinstance(value, (list, tuple, set, frozenset)):
            return self._list(value, depth)
        return clean_text(describe(value)[:_MAX_TEXT])

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        cleaned: dict[str, Any] = {}
        for key in value:
            if self._nodes > _MAX_NODES:
                cleaned["…"] = "…"
                break
            name = key if is_plain(key, _MAX_KEY) else clean_text(describe(key)[:_MAX_KEY])
            cleaned[name] = self.clean(value[key], depth + 1)
        return cleaned

    def _list(self, value: Iterable[Any], depth: int) -> list[Any]:
        cleaned = []
        for item in value:
            if self._nodes > _MAX_NODES:
                cleaned.append("…")
                break
            cleaned.append(self.clean(item, depth + 1))
        return cleaned


def _digits(value: int) -> str:
    # Python refuses to spell out very long integers in decimal digits.
    return str(value) if value.bit_length() < 10_000 else hex(value)[:10_000]
