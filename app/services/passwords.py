"""Hash passwords and compare them, at the same cost whether the account exists or not."""

import unicodedata

from werkzeug.security import check_password_hash, generate_password_hash

from app.services.texts import is_plain

_METHOD = "scrypt:32768:8:1"
# The shape of a real hash, so that comparing with it costs the same; nothing hashes to it.
_NOBODY = f"{_METHOD}${'x' * 16}${'0' * 128}"


def hash_password(password: str) -> str:
    """Return a salted hash; takes about a tenth of a second, on purpose."""
    return generate_password_hash(_normal(password), method=_METHOD)


def password_matches(password_hash: str | None, password: str) -> bool:
    """Compare a password with a hash; without one, take as long and answer no."""
    if not is_plain(password):
        return False
    return check_password_hash(password_hash or _NOBODY, _normal(password))


def _normal(password: str) -> str:
    # Keyboards differ in how they compose an accented letter (NIST SP 800-63B, 3.1.1.2).
    return unicodedata.normalize("NFKC", password)
