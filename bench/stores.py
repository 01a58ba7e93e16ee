"""The three log stores, each with its own way to insert many rows at once."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from pymongo import MongoClient
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import make_url

from app.extensions import _set_sqlite_pragmas, db
from app.logstore.mongo_documents import CHECKPOINTS, COUNTS, LOGS, to_document
from app.logstore.mongo_store import MongoStore
from app.logstore.record import LogRecord
from app.logstore.rows import INSERTED, postgresql_values, sqlite_values, to_row
from app.logstore.sql_store import SqlStore
from app.models.outbox import OutboxRecord
from tests.mongo_server import MongoServer, close_clients

SOURCE = "0f0e0d0c-0000-4000-8000-000000000001"
_NAMES = ", ".join(INSERTED)


class Store(Protocol):
    """A log store to measure."""

    name: str
    own_way: str
    url: str
    store: Any

    def prepared(self, records: Sequence[LogRecord]) -> list[Any]:
        """Return records as the database's own bulk insert takes them."""

    def insert(self, rows: Sequence[Any]) -> None:
        """Insert a batch in one transaction, in the fastest way that the database has."""

    def settle(self) -> None:
        """Have done what the database would do by itself sooner or later, while others measure."""

    def empty(self) -> None:
        """Remove what was stored."""

    def size(self) -> int:
        """Return the bytes that everything takes, indexes included."""

    def close(self) -> None:
        """Leave the database."""


class Sqlite:
    name, own_way = "SQLite", "executemany()"

    def __init__(self, folder: Path) -> None:
        self._path = folder / "logs.db"
        self.url = f"sqlite:///{self._path}"
        self._engine = create_engine(self.url)
        event.listen(self._engine, "connect", _set_sqlite_pragmas)
        _make_tables(self._engine)
        self.store = SqlStore(self._engine)

    def prepared(self, records: Sequence[LogRecord]) -> list[Any]:
        return [sqlite_values(to_row(one, SOURCE, seq)) for seq, one in enumerate(records)]

    def insert(self, rows: Sequence[Any]) -> None:
        marks = ", ".join("?" * len(INSERTED))
        with self._engine.begin() as connection:
            connection.exec_driver_sql(f"INSERT INTO logs ({_NAMES}) VALUES ({marks})", list(rows))

    def settle(self) -> None:
        self._tidy("PRAGMA wal_checkpoint(TRUNCATE)")

    def empty(self) -> None:
        with self._engine.begin() as connection:
            for table in ("logs", "log_checkpoints", "log_counts"):
                connection.execute(text(f"DELETE FROM {table}"))
        self._tidy("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        self._engine.dispose()

    def size(self) -> int:
        self._tidy("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)")
        return self._path.stat().st_size

    def _tidy(self, *statements: str) -> None:
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for statement in statements:
                connection.execute(text(statement))


class Postgresql:
    name, own_way = "PostgreSQL", "COPY"

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = create_engine(url)
        _make_tables(self._engine)
        self.store = SqlStore(self._engine)

    def prepared(self, records: Sequence[LogRecord]) -> list[Any]:
        return [postgresql_values(to_row(one, SOURCE, seq)) for seq, one in enumerate(records)]

    def insert(self, rows: Sequence[Any]) -> None:
        with self._engine.begin() as connection:
            cursor = connection.connection.cursor()
            with cursor.copy(f"COPY logs ({_NAMES}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)

    def settle(self) -> None:
        # Its autovacuum comes within a minute.
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM (ANALYZE)"))

    def empty(self) -> None:
        with self._engine.begin() as connection:
            connection.execute(text("TRUNCATE logs, log_checkpoints, log_counts"))

    def close(self) -> None:
        self._engine.dispose()

    def size(self) -> int:
        tree = "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('logs')"
        with self._engine.connect() as connection:
            return int(connection.scalar(text(tree)) or 0)


class Mongodb:
    name, own_way = "MongoDB", "insert_many()"

    def __init__(self, url: str) -> None:
        self.url = url
        self.store: Any = MongoStore(url)
        self.store.prepare()
        self._client: MongoClient[Any] = MongoClient(url)
        self._database = self._client.get_default_database()

    def prepared(self, records: Sequence[LogRecord]) -> list[Any]:
        return [to_document(one, SOURCE, seq) for seq, one in enumerate(records)]

    def insert(self, rows: Sequence[Any]) -> None:
        self._database[LOGS].insert_many(rows, ordered=False)

    def settle(self) -> None:
        self._client.admin.command("fsync")

    def empty(self) -> None:
        for name in (LOGS, CHECKPOINTS, COUNTS):
            self._database[name].delete_many({})

    def size(self) -> int:
        # Pages are written, and then only counted, at a checkpoint.
        self.settle()
        found = self._database.command("dbStats")
        return int(found["storageSize"] + found["indexSize"])

    def close(self) -> None:
        self._client.close()
        close_clients(self.store)


def _make_tables(engine: Any) -> None:
    db.metadatas["logs"].create_all(engine)
    OutboxRecord.__table__.create(engine, checkfirst=True)


@contextmanager
def all_stores() -> Iterator[tuple[list[Store], list[str]]]:
    """Give the stores that can be had here, and a sentence for each that cannot."""
    missing = []
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="glasshouse-bench-"))
        found: list[Store] = [Sqlite(Path(folder))]
        if programs := _postgresql_programs():
            found.append(Postgresql(stack.enter_context(_postgresql(programs))))
        else:
            missing.append("PostgreSQL: not available (no initdb)")
        if os.environ.get("MONGOD_BIN") or shutil.which("mongod"):
            server = MongoServer()
            stack.callback(server.remove)
            server.start()
            found.append(Mongodb(server.url("bench")))
        else:
            missing.append("MongoDB: not available (no mongod, no MONGOD_BIN)")
        for store in found:
            stack.callback(store.close)
        yield found, missing


def _postgresql_programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        return None
    return found[-1].parent if found else Path(str(on_path)).parent


@contextmanager
def _postgresql(programs: Path) -> Iterator[str]:
    """Run a server of our own, with the settings it comes with."""
    # It refuses to run as root, and its folder must be its own.
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    prefix: list[Any] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        prefix = ["runuser", "-u", "postgres", "--"]
    data, quiet = folder / "data", {"cwd": folder, "stdout": subprocess.DEVNULL, "check": True}
    subprocess.run(
        [*prefix, programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
         "--no-locale"], **quiet,
    )  # fmt: skip
    control = [*prefix, programs / "pg_ctl", "-D", data, "-w"]
    options = f"-c listen_addresses='' -k {folder}"
    subprocess.run([*control, "-o", options, "-l", folder / "log", "start"], **quiet)
    try:
        yield (
            make_url("postgresql+psycopg://postgres@/postgres")
            .update_query_dict({"host": str(folder)})
            .render_as_string()
        )
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], **{**quiet, "check": False})
        shutil.rmtree(folder, ignore_errors=True)
