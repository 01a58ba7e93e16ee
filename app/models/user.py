"""People who may log in."""

from datetime import datetime

from flask_login import UserMixin
from sqlalchemy import CheckConstraint, String, text, true
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.types import UtcDateTime, utc_now

USER = "user"
ADMIN = "admin"


class User(UserMixin, db.Model):  # type: ignore[name-defined, misc]
    """Hold one account; the e-mail address, in lower case, is its name."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint(f"role IN ('{USER}', '{ADMIN}')", name="role"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(16), default=USER, server_default=USER)
    active: Mapped[bool] = mapped_column(default=True, server_default=true())
    # Part of every session of the account: raising it ends them all, on every device.
    session_version: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    last_login_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def is_admin(self) -> bool:
        return self.role == ADMIN

    @property
    def is_active(self) -> bool:
        """Answer Flask-Login, which asks under this name."""
        return self.active

    def get_id(self) -> str:
        """Return what a session keeps: the account and the version of its sessions."""
        return f"{self.id}:{self.session_version}"
