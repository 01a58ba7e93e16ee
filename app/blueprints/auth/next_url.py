"""Where to go after logging in: never to somebody else's site."""

import unicodedata
from urllib.parse import urlsplit

_MAX = 2000


def safe_next(target: str | None) -> str | None:
    r"""Return `target` if it is a path of this site, else None.

    Browsers read `\` as `/`, skip control characters, and take `//host` and `https:host` for
    other sites; whatever could be read so is refused.
    """
    if not target or len(target) > _MAX or not target.startswith("/"):
        return None
    if target.startswith("//") or "\\" in target or any(map(_is_unseen, target)):
        return None
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    return None if parts.scheme or parts.netloc else target


def _is_unseen(char: str) -> bool:
    return unicodedata.category(char)[0] in "CZ"
