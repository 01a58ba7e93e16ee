"""Counters of rate limits, shared by all workers."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.types import UtcDateTime


class RateLimit(db.Model):  # type: ignore[name-defined, misc]
    """Count the hits on one limit within its present window."""

    __tablename__ = "rate_limits"

    # A digest of the limit's key: of one length whatever was typed, and no list of addresses.
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    hits: Mapped[int]
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
