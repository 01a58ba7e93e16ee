"""Which errors somebody has called resolved."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.types import UtcDateTime


class ErrorState(db.Model):  # type: ignore[name-defined, misc]
    """Tell when an error was resolved; whether it came back since, the log tells."""

    __tablename__ = "error_states"

    fingerprint: Mapped[str] = mapped_column(String(64), primary_key=True)
    resolved_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # The account's address, as in records: it says who, also when the account is gone.
    resolved_by: Mapped[str] = mapped_column(String(254))
    release: Mapped[str | None] = mapped_column(String(64))
