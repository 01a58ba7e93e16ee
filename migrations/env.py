"""Migrate both databases of the app: its own, and that of the log ("logs").

They may be one and the same PostgreSQL database: each keeps its version in a table of its own
and does not look at the other's tables. A log store that is none of SQL has no tables: after
an upgrade it makes what it needs instead, as the runner does at each start.
"""

from collections.abc import Callable
from typing import Any

import click
from alembic import context
from flask import current_app
from sqlalchemy import Connection, MetaData, text

from app.logstore import current_store
from app.logstore.contract import StoreUnavailable
from app.models.log import JsonText
from app.models.types import UtcDateTime

VERSION_TABLES = {"": "alembic_version", "logs": "alembic_version_logs"}
_LOCK_KEY = 0x676C6D69  # Any number that all hosts share.

migrate = current_app.extensions["migrate"]
BINDS = [bind for bind in VERSION_TABLES if (bind or None) in migrate.db.engines]


def metadata_of(bind: str) -> MetaData:
    """Return the tables that the models put into a database."""
    return migrate.db.metadatas[bind or None]


def include_name_for(bind: str, partitions: set[str]) -> Callable[..., bool]:
    """Return what hides the other database's tables and the partitions from this one."""
    own = set(metadata_of(bind).tables)
    others = {table for key in VERSION_TABLES if key != bind for table in metadata_of(key).tables}
    hidden = (others - own) | set(VERSION_TABLES.values()) | partitions

    def include_name(name: str | None, kind: str, _parents: dict[str, Any]) -> bool:
        if kind != "table":
            return True
        # A table that no model has any more is the app's, and for its database to drop.
        return name in own if bind else name not in hidden

    return include_name


def render_item(kind: str, item: Any, _context: Any) -> str | bool:
    """Write a migration that stays valid when the app's own types change."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, JsonText):
        return "sa.JSON()"
    return False


def drop_empty_revision(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Make no revision when neither database differs from its models."""
    command = context.config.cmd_opts
    if not getattr(command, "autogenerate", False):
        return
    operations = directives[0].upgrade_ops_list
    # Called once for each database; only the last knows them all.
    if len(operations) == len(BINDS) and all(one.is_empty() for one in operations):
        directives.clear()


def options(bind: str) -> dict[str, Any]:
    """Return what Alembic is told about a database."""
    return {
        "target_metadata": metadata_of(bind),
        "version_table": VERSION_TABLES[bind],
        "upgrade_token": f"{bind}_upgrades",
        "downgrade_token": f"{bind}_downgrades",
        "render_item": render_item,
        "process_revision_directives": drop_empty_revision,
        **migrate.configure_args,
    }


def run_online(bind: str) -> None:
    """Migrate one database, in one transaction."""
    with migrate.db.engines[bind or None].connect() as connection:
        begin(connection)
        context.configure(
            connection=connection,
            include_name=include_name_for(bind, partitions_of(connection)),
            transactional_ddl=True,
            **options(bind),
        )
        context.run_migrations(engine_name=bind)
        connection.commit()
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")


def begin(connection: Connection) -> None:
    """Begin a transaction that only one migration at a time can be in."""
    if connection.dialect.name == "sqlite":
        # A table that is changed is copied and dropped, which would delete what refers to it.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        # A large table takes as long as it needs, and so does the migration before this one.
        connection.connection.dbapi_connection.patience = None
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})


def partitions_of(connection: Connection) -> set[str]:
    """Return the names of the partitions, which belong to their parent's migration."""
    if connection.dialect.name != "postgresql":
        return set()
    return set(connection.scalars(text("SELECT relname FROM pg_class WHERE relispartition")))


def run_offline(bind: str) -> None:
    """Print the SQL that would migrate one database."""
    url = migrate.db.engines[bind or None].url
    context.configure(
        url=url.render_as_string(hide_password=False), literal_binds=True, **options(bind)
    )
    with context.begin_transaction():
        context.run_migrations(engine_name=bind)


def prepare_store() -> None:
    """Make the indexes of a log store that has no tables."""
    try:
        current_store().prepare()
    except StoreUnavailable as error:
        raise click.ClickException(str(error)) from None


for name in BINDS:
    if context.is_offline_mode():
        run_offline(name)
    else:
        run_online(name)
if list(VERSION_TABLES) != BINDS and not context.is_offline_mode():
    prepare_store()
