"""What pages say in words: how long ago something was, and what to search the log for."""

from datetime import datetime

from app.models.types import utc_now
from app.services.log_language import Term

_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"))


def ago(moment: datetime, now: datetime | None = None) -> str:
    """Return how long ago a moment was, in the largest unit that fits."""
    seconds = int(((now or utc_now()) - moment).total_seconds())
    for size, unit in _UNITS:
        if seconds >= size:
            number = seconds // size
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    return "just now"


def search(**terms: object) -> str:
    """Return a search of the log for records that have all these values."""
    return " ".join(str(Term(key, str(value))) for key, value in terms.items())


def quoted(value: object) -> str:
    """Return a value as a search takes it, in quotation marks where it needs them."""
    return str(Term("key", str(value))).removeprefix("key:")
