"""What an account may look like: one set of rules for pages and commands."""

import re

from app.services.errors import Invalid
from app.services.texts import is_plain, is_visible, turns_text

EMAIL_MAX = 254
NAME_MAX = 80
PASSWORD_MIN = 10
PASSWORD_MAX = 128
PASSWORD_DIFFERENT = 5

# ASCII only: look-alike letters that fold to the same text must not reach another's account.
_EMAIL = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)*")


def normal_email(email: str) -> str:
    """Return an address as accounts keep it, whether or not it is a valid one."""
    return email.strip().lower()


def email_problem(email: str) -> str | None:
    """Say what is wrong with a normal address for a new account."""
    if not email:
        return "Enter an e-mail address."
    if len(email) > EMAIL_MAX or not _EMAIL.fullmatch(email):
        return "Enter an e-mail address like name@example.com."
    return None


def name_problem(name: str) -> str | None:
    """Say what is wrong with a person's name."""
    if not is_visible(name):
        return "Enter a name."
    if len(name) > NAME_MAX:
        return f"Use at most {NAME_MAX} characters."
    if not is_plain(name) or turns_text(name):
        return "Use only letters, digits and signs on one line."
    return None


def password_problem(password: str, email: str) -> str | None:
    """Say what is wrong with a new password; length counts, not the kinds of characters."""
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        return f"Use {PASSWORD_MIN} to {PASSWORD_MAX} characters."
    if not is_plain(password):
        return "Use only letters, digits, signs and spaces."
    if len(set(password)) < PASSWORD_DIFFERENT:
        return f"Use at least {PASSWORD_DIFFERENT} different characters."
    if password.strip().lower() == email:
        return "Use something other than your e-mail address."
    return None


def require(**problems: str | None) -> None:
    """Raise Invalid that names each field which has a problem."""
    errors = {field: problem for field, problem in problems.items() if problem}
    if errors:
        raise Invalid(errors=errors)
