"""The log as tables: records, how far each host's segments are stored, counts, leases."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson
from flask_sqlalchemy.query import Query
from sqlalchemy import BigInteger, Dialect, Index, SmallInteger, String, Text, text
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from app.extensions import db
from app.models.types import UtcDateTime, utc_now

_Process = Callable[[Any], Any]
RecordId = String(36).with_variant(UUID(as_uuid=False), "postgresql")


class JsonText(UserDefinedType[dict[str, Any]]):
    """Keep JSON in a JSON column as it was written, so that a search finds letters beyond ASCII."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "JSON"

    def bind_processor(self, dialect: Dialect) -> _Process:  # noqa: ARG002
        return lambda value: None if value is None else orjson.dumps(value).decode()

    def result_processor(self, dialect: Dialect, coltype: object) -> _Process:  # noqa: ARG002
        # PostgreSQL's driver has parsed it already.
        return lambda value: orjson.loads(value) if isinstance(value, str) else value


class SqlOnly(Query):
    """Ask the table, or say where to ask when the log is not kept in one."""

    def __init__(self, *args: Any, **named: Any) -> None:
        if "logs" not in db.engines:
            raise RuntimeError(
                "LOG_STORE_URL is no SQL database, which Log.query asks: "
                "use app.services.log_service, which asks every log store."
            )
        super().__init__(*args, **named)


def _index(name: str, *columns: str, where: str | None = None) -> Index:
    """Return an index; with `where`, of those rows only that a query for them would want."""
    condition = text(where) if where else None
    return Index(name, *columns, sqlite_where=condition, postgresql_where=condition)


class Log(db.Model):  # type: ignore[name-defined, misc]
    """Hold one record of the log; on PostgreSQL partitioned by `keep`, then by time."""

    __tablename__ = "logs"
    __bind_key__ = "logs"
    query_class = SqlOnly
    __table_args__ = (
        # Most records are requests and of level INFO: the primary key finds those as well.
        _index("ix_logs_request_id_id", "request_id", "id", where="request_id IS NOT NULL"),
        _index("ix_logs_action_id", "action", "id", where="action <> 'request'"),
        _index("ix_logs_level_id", "level", "id", where="level NOT IN ('DEBUG', 'INFO')"),
        _index("ix_logs_status_id", "status", "id", where="status IN (401, 403, 429)"),
        _index("ix_logs_failed_id", "id", where="status >= 500"),
        _index(
            "ix_logs_parent_request_id_id", "parent_request_id", "id",
            where="parent_request_id IS NOT NULL",
        ),
        _index("ix_logs_user_id_id", "user_id", "id", where="user_id IS NOT NULL"),
        _index(
            "ix_logs_exception_fingerprint_id", "exception_fingerprint", "id", "user_id",
            where="exception_fingerprint IS NOT NULL",
        ),
        _index("ix_logs_source_seq", "source", "seq"),
        {"postgresql_partition_by": "LIST (keep)"},
    )  # fmt: skip

    # The time is in the id, which comes first: the key serves every range of time.
    id: Mapped[str] = mapped_column(RecordId, primary_key=True)
    keep: Mapped[str] = mapped_column(String(16), primary_key=True)
    source: Mapped[str] = mapped_column(String(36))
    seq: Mapped[int] = mapped_column(BigInteger)
    timestamp: Mapped[datetime] = mapped_column(UtcDateTime)
    level: Mapped[str] = mapped_column(String(16))
    logger: Mapped[str] = mapped_column(String(200))
    message: Mapped[str] = mapped_column(Text)
    action: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(64))
    parent_request_id: Mapped[str | None] = mapped_column(String(64))
    user_id: Mapped[str | None] = mapped_column(String(64))
    account: Mapped[str | None] = mapped_column(String(254))
    method: Mapped[str | None] = mapped_column(String(16))
    path: Mapped[str | None] = mapped_column(Text)
    route: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[int | None]
    duration_ms: Mapped[float | None]
    db_ms: Mapped[float | None]
    db_count: Mapped[int | None]
    remote_addr: Mapped[str | None] = mapped_column(String(64))
    host: Mapped[str | None] = mapped_column(String(255))
    pid: Mapped[int | None] = mapped_column(BigInteger)
    release: Mapped[str | None] = mapped_column(String(64))
    target_type: Mapped[str | None] = mapped_column(String(64))
    target_id: Mapped[str | None] = mapped_column(String(255))
    outcome: Mapped[str | None] = mapped_column(String(32))
    statement: Mapped[str | None] = mapped_column(Text)
    exception_type: Mapped[str | None] = mapped_column(String(255))
    exception_message: Mapped[str | None] = mapped_column(Text)
    exception_traceback: Mapped[str | None] = mapped_column(Text)
    exception_fingerprint: Mapped[str | None] = mapped_column(String(64))
    details: Mapped[dict[str, Any]] = mapped_column(JsonText)


class LogCheckpoint(db.Model):  # type: ignore[name-defined, misc]
    """Tell how far one segment of one host is in the store."""

    __tablename__ = "log_checkpoints"
    __bind_key__ = "logs"

    source: Mapped[str] = mapped_column(String(36), primary_key=True)
    segment: Mapped[str] = mapped_column(String(64), primary_key=True)
    offset: Mapped[int] = mapped_column(BigInteger)
    sealed: Mapped[bool]
    next_seq: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now, onupdate=utc_now)


class LogLease(db.Model):  # type: ignore[name-defined, misc]
    """Tell which host does what only one may do at a time, and until when it has the say."""

    __tablename__ = "log_leases"
    __bind_key__ = "logs"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LogCount(db.Model):  # type: ignore[name-defined, misc]
    """Tell how many records of one kind a host had in one step of time, `start` in epoch seconds.

    What is absent is "" and 0, so that it can be in the key; `logstore/counts.py` says what a
    bucket is.
    """

    __tablename__ = "log_counts"
    __bind_key__ = "logs"
    # Rows change in place: PostgreSQL finds room for that in the same page.
    __table_args__ = (
        # Few records have an exception: what happened to each is not looked for among the others.
        _index("ix_log_counts_fingerprint", "step", "start", "fingerprint",
               where="fingerprint <> ''"),
        {"sqlite_with_rowid": False, "postgresql_with": {"fillfactor": 70}},
    )  # fmt: skip

    step: Mapped[int] = mapped_column(primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    source: Mapped[str] = mapped_column(String(36), primary_key=True)
    level: Mapped[str] = mapped_column(String(16), primary_key=True)
    action: Mapped[str] = mapped_column(String(64), primary_key=True)
    route: Mapped[str] = mapped_column(String(255), primary_key=True)
    status_class: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64), primary_key=True)
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
