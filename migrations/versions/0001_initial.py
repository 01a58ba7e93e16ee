"""The first tables: accounts, API tokens, items, outbox, alerts and rate limits; the log, its
checkpoints and its counts.

Revision: 0001
After: nothing
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEEPS = ("debug", "info", "error", "operation")


def upgrade(engine_name: str) -> None:
    globals()[f"upgrade_{engine_name}"]()


def downgrade(engine_name: str) -> None:
    globals()[f"downgrade_{engine_name}"]()


def upgrade_() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("role", sa.String(16), server_default="user", nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("session_version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_login_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("role IN ('user', 'admin')", name=op.f("ck_users_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_api_tokens_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_tokens_token_hash")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_api_tokens_user_id_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "items",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("category", sa.String(60), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("image", sa.String(64)),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sort_name", sa.String(120), nullable=False),
        sa.Column("search", sa.Text(), nullable=False),
        sa.CheckConstraint("quantity >= 0", name=op.f("ck_items_quantity")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_items_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_items")),
    )
    op.create_index(op.f("ix_items_owner_id"), "items", ["owner_id"])
    op.create_index("ix_items_sort_name_id", "items", ["sort_name", "id"])
    op.create_index("ix_items_quantity_id", "items", ["quantity", "id"])
    op.create_index("ix_items_updated_at_id", "items", ["updated_at", "id"])
    op.create_table(
        "outbox",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_table(
        "error_states",
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_by", sa.String(254), nullable=False),
        sa.Column("release", sa.String(64)),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_error_states")),
    )
    op.create_table(
        "alerts",
        sa.Column("rule", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("value", sa.Float()),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_sent_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("rule", name=op.f("pk_alerts")),
    )
    op.create_table(
        "rate_limits",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_rate_limits")),
    )
    op.create_index(op.f("ix_rate_limits_expires_at"), "rate_limits", ["expires_at"])


def downgrade_() -> None:
    tables = ("rate_limits", "alerts", "error_states", "outbox", "items", "api_tokens", "users")
    for table in tables:
        op.drop_table(table)


def upgrade_logs() -> None:
    op.create_table(
        "log_checkpoints",
        sa.Column("source", sa.String(36), nullable=False),
        sa.Column("segment", sa.String(64), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.Boolean(), nullable=False),
        sa.Column("next_seq", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "segment", name=op.f("pk_log_checkpoints")),
    )
    op.create_table(
        "log_leases",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_log_leases")),
    )
    op.create_table(
        "log_counts",
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(36), nullable=False),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("route", sa.String(255), nullable=False),
        sa.Column("status_class", sa.SmallInteger(), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("bucket", sa.SmallInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "step", "start", "source", "level", "action", "route", "status_class", "fingerprint",
            "bucket", name=op.f("pk_log_counts"),
        ),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 70},
    )
    _index(
        "ix_log_counts_fingerprint", "step", "start", "fingerprint", where="fingerprint <> ''",
        table="log_counts",
    )  # fmt: skip
    record_id = sa.String(36).with_variant(sa.UUID(as_uuid=False), "postgresql")
    op.create_table(
        "logs",
        sa.Column("id", record_id, nullable=False),
        sa.Column("keep", sa.String(16), nullable=False),
        sa.Column("source", sa.String(36), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("logger", sa.String(200), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("action", sa.String(64)),
        sa.Column("request_id", sa.String(64)),
        sa.Column("parent_request_id", sa.String(64)),
        sa.Column("user_id", sa.String(64)),
        sa.Column("account", sa.String(254)),
        sa.Column("method", sa.String(16)),
        sa.Column("path", sa.Text()),
        sa.Column("route", sa.String(255)),
        sa.Column("status", sa.Integer()),
        sa.Column("duration_ms", sa.Double()),
        sa.Column("db_ms", sa.Double()),
        sa.Column("db_count", sa.Integer()),
        sa.Column("remote_addr", sa.String(64)),
        sa.Column("host", sa.String(255)),
        sa.Column("pid", sa.BigInteger()),
        sa.Column("release", sa.String(64)),
        sa.Column("target_type", sa.String(64)),
        sa.Column("target_id", sa.String(255)),
        sa.Column("outcome", sa.String(32)),
        sa.Column("statement", sa.Text()),
        sa.Column("exception_type", sa.String(255)),
        sa.Column("exception_message", sa.Text()),
        sa.Column("exception_traceback", sa.Text()),
        sa.Column("exception_fingerprint", sa.String(64)),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", "keep", name=op.f("pk_logs")),
        postgresql_partition_by="LIST (keep)",
    )
    if op.get_context().dialect.name == "postgresql":
        for keep in KEEPS:
            op.execute(
                f"CREATE TABLE logs_{keep} PARTITION OF logs FOR VALUES IN ('{keep}') "
                "PARTITION BY RANGE (id)"
            )
    _index("ix_logs_request_id_id", "request_id", "id", where="request_id IS NOT NULL")
    _index("ix_logs_action_id", "action", "id", where="action <> 'request'")
    _index("ix_logs_level_id", "level", "id", where="level NOT IN ('DEBUG', 'INFO')")
    _index("ix_logs_status_id", "status", "id", where="status IN (401, 403, 429)")
    _index("ix_logs_failed_id", "id", where="status >= 500")
    _index(
        "ix_logs_parent_request_id_id", "parent_request_id", "id",
        where="parent_request_id IS NOT NULL",
    )
    _index("ix_logs_user_id_id", "user_id", "id", where="user_id IS NOT NULL")
    _index(
        "ix_logs_exception_fingerprint_id", "exception_fingerprint", "id", "user_id",
        where="exception_fingerprint IS NOT NULL",
    )  # fmt: skip
    op.create_index("ix_logs_source_seq", "logs", ["source", "seq"])


def downgrade_logs() -> None:
    op.drop_table("logs")
    op.drop_table("log_leases")
    op.drop_table("log_counts")
    op.drop_table("log_checkpoints")


def _index(name: str, *columns: str, where: str, table: str = "logs") -> None:
    condition = sa.text(where)
    op.create_index(
        name, table, list(columns), sqlite_where=condition, postgresql_where=condition
    )
