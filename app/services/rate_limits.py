"""Rate limit counters in the app's own database, for `limits`: `database://`.

All workers, on all hosts, share one row per limit, so that a limit holds without Redis.
"""

import hashlib
import logging
import time
from datetime import timedelta
from itertools import count
from typing import Any, cast

from flask import Flask
from limits.errors import ConfigurationError
from limits.storage import Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter
from sqlalchemy import Connection, case, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from app.extensions import db
from app.models.rate_limit import RateLimit
from app.models.types import utc_now
from config import ConfigError

log = logging.getLogger(__name__)

# A hit makes one row at most; removing four times as many on average keeps the table small.
PURGE_EVERY = 50
PURGE_SLICE = 200


def init_app(app: Flask) -> None:
    """Count rate limits where RATE_LIMIT_STORAGE_URL says."""
    try:
        storage = storage_from_string(app.config["RATE_LIMIT_STORAGE_URL"])
    except (ConfigurationError, ValueError):
        # A port that is no number, or parameters that the client does not know.
        raise ConfigError("RATE_LIMIT_STORAGE_URL: the given value cannot be used.") from None
    app.extensions["rate_limiter"] = FixedWindowRateLimiter(cast("Storage", storage))


class DatabaseStorage(Storage):
    """Keep counters in the table `rate_limits`; needs an app context.

    Each call is a short transaction on a connection of its own, never in the caller's
    session: a rolled-back request was still a hit. So call it before the session holds
    changes; on SQLite, which has one write lock, it would wait for the caller itself.
    """

    STORAGE_SCHEME = ["database"]

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **_: Any) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        self._calls = count(1)

    @property
    def base_exceptions(self) -> type[Exception]:
        return SQLAlchemyError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add to a counter and return its new value; an expired one starts anew."""
        with db.engine.begin() as connection:
            hits = _add(connection, _digest(key), expiry, amount)
        if next(self._calls) % PURGE_EVERY == 0:
            self._purge_quietly()
        return hits

    def get(self, key: str) -> int:
        row = self._row(key)
        return row[0] if row else 0

    def get_expiry(self, key: str) -> float:
        """Return when the window ends, in seconds since the epoch; now when there is none."""
        row = self._row(key)
        return row[1] if row else time.time()

    def check(self) -> bool:
        try:
            with db.engine.connect() as connection:
                connection.execute(select(RateLimit.key).limit(1))
        except SQLAlchemyError:
            return False
        return True

    def reset(self) -> int:
        """Forget all counters and return how many there were."""
        with db.engine.begin() as connection:
            return connection.execute(delete(RateLimit)).rowcount

    def clear(self, key: str) -> None:
        with db.engine.begin() as connection:
            connection.execute(delete(RateLimit).where(RateLimit.key == _digest(key)))

    def purge(self, limit: int = PURGE_SLICE) -> int:
        """Remove up to `limit` expired rows and return how many went."""
        # Two purges at once take different rows, and none waits for a hit that revives one.
        some = (
            select(RateLimit.key)
            .where(RateLimit.expires_at <= utc_now())
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        with db.engine.begin() as connection:
            removed = connection.execute(
                delete(RateLimit).where(RateLimit.key.in_(some.scalar_subquery()))
            )
            return removed.rowcount

    def _row(self, key: str) -> tuple[int, float] | None:
        statement = select(RateLimit.hits, RateLimit.expires_at).where(
            RateLimit.key == _digest(key), RateLimit.expires_at > utc_now()
        )
        with db.engine.connect() as connection:
            row = connection.execute(statement).one_or_none()
        return (row.hits, row.expires_at.timestamp()) if row else None

    def _purge_quietly(self) -> None:
        try:
            self.purge()
        except SQLAlchemyError:
            # The hit is counted; what could not be removed now goes with a later purge.
            log.warning("rate_limit_purge_failed", exc_info=True)


def _add(connection: Connection, key: str, expiry: float, amount: int) -> int:
    """Insert or raise one counter in a single statement, which no other process can split."""
    now = utc_now()
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    fresh = insert(RateLimit).values(
        # What is given back after its window has ended leaves no credit in the next one.
        key=key,
        hits=max(amount, 0),
        expires_at=now + timedelta(seconds=expiry),
    )
    over = RateLimit.expires_at <= now
    new = fresh.excluded
    upsert = fresh.on_conflict_do_update(
        index_elements=[RateLimit.key],
        set_={
            "hits": case((over, new.hits), else_=RateLimit.hits + amount),
            "expires_at": case((over, new.expires_at), else_=RateLimit.expires_at),
        },
    ).returning(RateLimit.hits)
    hits: int = connection.execute(upsert).scalar_one()
    return hits


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
