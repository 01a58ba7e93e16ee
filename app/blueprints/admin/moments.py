"""How long ago something was, in words."""

from datetime import datetime

from app.models.types import utc_now

_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"))


def ago(moment: datetime, now: datetime | None = None) -> str:
    """Return how long ago a moment was, in the largest unit that fits."""
    seconds = int(((now or utc_now()) - moment).total_seconds())
    for size, unit in _UNITS:
        if seconds >= size:
            number = seconds // size
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    return "just now"
