"""The outbox: the record of a change, written in the change's own transaction."""

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.types import UtcDateTime, utc_now


class OutboxRecord(db.Model):  # type: ignore[name-defined, misc]
    """Hold one operation's log record, as its JSON line, until the runner has stored it."""

    __tablename__ = "outbox"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    record: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
