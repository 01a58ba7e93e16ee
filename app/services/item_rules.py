"""What an item may look like: one set of rules for pages, programs and commands."""

import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from app.models.item import CATEGORY_MAX, DESCRIPTION_MAX, NAME_MAX, QUANTITY_MAX
from app.services.errors import Invalid
from app.services.texts import is_plain, is_visible, turns_text

FIELDS = ("name", "category", "quantity", "description")
SEARCH_MAX = 200

__all__ = [
    "CATEGORY_MAX", "DESCRIPTION_MAX", "FIELDS", "NAME_MAX", "QUANTITY_MAX", "SEARCH_MAX",
    "clean_search", "clean_values", "clean_version",
]  # fmt: skip


def clean_values(values: Mapping[str, Any], *, partial: bool = False) -> dict[str, Any]:
    """Return the values as they are stored; with `partial`, fields left out stay left out.

    Raises Invalid that names every field at fault, unknown ones among them.
    """
    errors = {_shown(key): _UNKNOWN for key in values if key not in FIELDS}
    cleaned: dict[str, Any] = {}
    for field, rule in _RULES.items():
        if field in values:
            try:
                cleaned[field] = rule(values[field])
            except ValueError as error:
                errors[field] = str(error)
        elif field == "name" and not partial:
            errors[field] = _NAME_MISSING
    if errors:
        raise Invalid("Please check what you entered: nothing was saved.", errors=errors)
    return cleaned


def clean_version(value: Any) -> int:
    """Return the version that an edit started from; raises Invalid when there is none."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        message = "Send the version of the item that you read, a whole number."
        raise Invalid(message, errors={"version": message})
    return value


def clean_search(text: str) -> list[str]:
    """Return the words to look for, without regard to case; raises Invalid."""
    if len(text) > SEARCH_MAX:
        message = f"Search for at most {SEARCH_MAX} characters."
        raise Invalid(message, errors={"q": message})
    plain = "".join(c if is_plain(c) else " " for c in text)
    return unicodedata.normalize("NFC", plain).casefold().split()


_NAME_MISSING = "Enter a name."
_UNKNOWN = f"This field is not known. Use {', '.join(FIELDS)}."


def _shown(key: str) -> str:
    """Return a name that somebody sent, short and printable enough to send back."""
    return key[:60].encode("ascii", "backslashreplace").decode()


def _line(limit: int) -> Callable[[Any], str]:
    def rule(value: Any) -> str:
        return _text(value, limit, allowed="").strip()

    return rule


def _name(value: Any) -> str:
    name = _line(NAME_MAX)(value)
    if not is_visible(name):
        raise ValueError(_NAME_MISSING)
    return name


def _description(value: Any) -> str:
    return _text(value, DESCRIPTION_MAX, allowed="\n\t").strip()


def _text(value: Any, limit: int, allowed: str) -> str:
    if not isinstance(value, str):
        raise ValueError("This must be text.")  # noqa: TRY004 - one kind of refusal for callers.
    # Browsers send line ends as CR LF and count them as one character.
    text = unicodedata.normalize("NFC", value.replace("\r\n", "\n"))
    if len(text) > limit:
        raise ValueError(f"Use at most {limit} characters; this has {len(text)}.")
    if not is_plain(text, allowed) or turns_text(text):
        raise ValueError("Use only letters, digits, signs and spaces.")
    return text


def _quantity(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("Enter a whole number.")  # noqa: TRY004
    if not 0 <= value <= QUANTITY_MAX:
        raise ValueError(f"Enter a whole number from 0 to {QUANTITY_MAX}.")
    return value


_RULES: dict[str, Callable[[Any], Any]] = {
    "name": _name, "category": _line(CATEGORY_MAX), "quantity": _quantity,
    "description": _description,
}  # fmt: skip
