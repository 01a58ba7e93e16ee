"""What is known about each alert rule, shared by all hosts."""

from datetime import datetime

from sqlalchemy import Float, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.types import UtcDateTime

OK, FIRING = "ok", "firing"


class AlertState(db.Model):  # type: ignore[name-defined, misc]
    """Keep one rule's state, so that all hosts together send one mail about one thing."""

    __tablename__ = "alerts"

    rule: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[str] = mapped_column(String(16), default=OK)
    value: Mapped[float | None] = mapped_column(Float, default=None)
    # Since when the state is what it is.
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # When somebody was told, or would have been with somebody to tell; kept so that all hosts wait.
    last_sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
