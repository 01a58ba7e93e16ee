"""Keys with which programs act for an account."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import db
from app.models.types import UtcDateTime, utc_now
from app.models.user import User


class ApiToken(db.Model):  # type: ignore[name-defined, misc]
    """Hold one token of an account, without the token itself. Ending one removes its row.

    A plain SHA-256 is enough, where a password needs a slow hash: a token is 32 random bytes,
    so that nobody who has the hash can try them all, however fast. Nor can the search for a
    hash give one away by its time: who does not know the token cannot steer its hash.
    """

    __tablename__ = "api_tokens"
    __table_args__ = (
        UniqueConstraint("user_id", "name"),
        # SQLite would give a removed token's number to the next one; records name the number.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(80))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    # How the token begins, to recognise it by.
    prefix: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)

    @property
    def expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= utc_now()
