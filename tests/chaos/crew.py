"""What the processes of a storm do: write numbered records and changes, or ship them.

A child is forked from a server that has imported all this, so that a hundred kills cost little.
It may be told to kill itself at a named point, and to break a part of the pipeline first.
"""

import contextlib
import logging
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.extensions import _set_sqlite_pragmas, db
from app.logstore import outbox, sql_append
from app.logstore.contract import StoreUnavailable
from app.logstore.mongo_append import MongoAppender
from app.logstore.mongo_store import MongoStore
from app.logstore.shipper import Shipper
from app.logstore.sql_store import SqlStore
from app.models.rate_limit import RateLimit
from app.models.types import utc_now
from app.observability import ids, log_file, log_handlers, log_spool, metrics, operations
from app.observability.log_formatters import JSONFormatter
from app.observability.log_handlers import LogFilesHandler
from app.scheduler.election import is_current, take_lock
from tests.chaos.variants import break_part
from tests.logstore.stores import open_engine, open_store

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.chaos.crew"])
ACK = 8  # Bytes of one acknowledgement.
POISON = {
    "nul": "a\0b", "surrogate": "\ud800", "big": 2**70, "nan": float("nan"), "line": "x\r\n\u2028y",
    "long": "ü" * 20_000, "bytes": b"\xff", "status": "x", 5: {"id": 1},
}  # fmt: skip


@dataclass(frozen=True)
class Site:
    """One LOG_DIR with its store, the database of the changes, and what was acknowledged."""

    folder: Path
    store_url: str
    database_url: str
    max_bytes: int = 32_768
    backup_count: int = 0
    owner: int = field(default_factory=os.getpid)

    @property
    def log_dir(self) -> Path:
        return self.folder / "logs"

    @property
    def acks(self) -> Path:
        return self.folder / "acks"

    @property
    def account(self) -> Path:
        return self.folder / "account"

    @property
    def enough(self) -> Path:
        """When this file is there, the writers end."""
        return self.folder / "enough"

    @property
    def calm(self) -> Path:
        """When this file is there, no writer writes, and the shipper ends when all is stored."""
        return self.folder / "calm"

    def end_with_owner(self) -> None:
        """End this process when the one that made the site is gone, whatever ended that."""
        try:
            os.kill(self.owner, 0)
        except ProcessLookupError:
            os._exit(1)

    def prepare(self) -> None:
        self.acks.mkdir(parents=True, exist_ok=True)
        self.account.mkdir(exist_ok=True)
        with open_store(self.store_url):
            pass
        engine = open_engine(self.database_url)
        RateLimit.__table__.create(engine, checkfirst=True)
        engine.dispose()


def _kill_now() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die(owner: Any, name: str, when: str, passes: int) -> None:
    """Have this process kill itself at a call of a function, after some calls."""
    real: Callable[..., Any] = getattr(owner, name)
    left = passes

    def wrapped(*args: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if when == "half" and left < 0:
            real(args[0], args[1][: len(args[1]) // 2])
        if when != "after" and left < 0:
            _kill_now()
        result = real(*args, **named)
        if left < 0:
            _kill_now()
        return result

    setattr(owner, name, wrapped)


WRITER_POINTS: dict[str, tuple[Any, str, str]] = {
    "in mid-write": (log_file.AppendOnlyFile, "_append", "append"),
    "before the commit": (operations, "_commit", "before"),
    "in a commit": (Session, "commit", "before"),
    "between commit and line": (operations, "_publish", "before"),
    "before the number of a rotation is kept": (log_file, "last_number", "before"),
    "before the rename": (Path, "rename", "before"),
    "after the rename": (Path, "rename", "after"),
    "before pruning": (log_handlers, "prune", "before"),
}
SHIPPER_POINTS = {
    "between records and checkpoint": ("keeper", "_keep", "before"),
    "before the commit": ("keeper", "_keep", "after"),
    "after the commit": ("store", "append", "after"),
    "before the outbox is emptied": (outbox, "remove", "before"),
    "before noting what is shipped": (log_spool, "mark_shipped", "before"),
    "after noting what is shipped": (log_spool, "mark_shipped", "after"),
    "before a segment is pruned": (Path, "unlink", "before"),
    "before a checkpoint is forgotten": ("store", "forget", "before"),
}


def write(
    site: Site, life: str, variant: str, die: tuple[str, int] | None, weather: frozenset[str]
) -> None:
    """Write numbered records, each tenth as a change of the database, until there is enough."""
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives
    break_part(variant)
    if die and die[0] == "in mid-write":
        _die(os, "write", "half", 2 * die[1])  # Each record is one write, and its ack another.
    elif die:
        _die(*WRITER_POINTS[die[0]], die[1])
    if "clock jumps" in weather:
        ids.time = _JumpingClock()  # type: ignore[assignment]
    app = _application(site)
    log = logging.getLogger("chaos")
    acks = os.open(site.acks / life, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    lost = metrics.log_records_dropped_total.labels("write_failed")._value
    number = 0
    with app.app_context():
        while number % 20 or not site.enough.exists():
            site.end_with_owner()
            before = lost.get()
            details = {"life": life, "number": number}
            if number % 10 == 5:
                _change(details, roll_back=number % 20 == 5)
            elif "poison" in weather and number % 50 == 7:
                log.info("poison", extra={"details": {**details, **POISON}, "path": "/\0" * 5000})
            else:
                log.info("numbered", extra={"details": details})
            if lost.get() == before:
                os.write(acks, b"%07d\n" % number)
            number += 1
    # What it says of itself: how many it wrote, and how many of them it knows to be lost.
    (site.account / life).write_text(f"{number} {int(lost.get())}")


def _change(details: dict[str, Any], *, roll_back: bool) -> None:
    key = f"{details['life']}/{details['number']}"
    with (
        contextlib.suppress(LookupError, SQLAlchemyError),
        operations.operation("item_update", target_type="item", target_id=key) as this,
    ):
        this.details.update(details)
        db.session.add(RateLimit(key=key, hits=1, expires_at=utc_now()))
        if roll_back:
            raise LookupError


def _application(site: Site) -> Flask:
    app = Flask("chaos")
    app.config["SQLALCHEMY_DATABASE_URI"] = site.database_url
    db.init_app(app)
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            db.event.listen(db.engine, "connect", _set_sqlite_pragmas)
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(
        LogFilesHandler(
            site.log_dir,
            JSONFormatter(),
            max_bytes=site.max_bytes,
            backup_count=site.backup_count,
        )
    )
    logging.raiseExceptions = False
    return app


class _JumpingClock:
    """A clock that somebody sets, by up to an hour, now and then."""

    def __init__(self) -> None:
        self._offset = 0

    def time_ns(self) -> int:
        if random.random() < 0.01:
            self._offset = random.randrange(-3600, 3600) * 1_000_000_000
        return time.time_ns() + self._offset


def ship(site: Site, variant: str, die: tuple[str, int] | None) -> None:
    """Be the runner: ship while the lock is that of LOG_DIR, then for the folder made anew."""
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives
    break_part(variant)
    mongo = site.store_url.startswith("mongodb")
    named = {"store": MongoStore if mongo else SqlStore,
             "keeper": MongoAppender if mongo else sql_append}  # fmt: skip
    if die:
        owner, *rest = SHIPPER_POINTS[die[0]]
        _die(named.get(str(owner), owner), *rest, die[1])
    database = open_engine(site.database_url, tables=False)
    with open_store(site.store_url, ready=False) as store:
        while True:
            site.end_with_owner()
            lock = None
            with contextlib.suppress(OSError):
                lock = take_lock(site.log_dir)
            if lock is not None:
                shipper = Shipper(store, site.log_dir, database, backup_count=site.backup_count)
                while is_current(lock, site.log_dir):
                    site.end_with_owner()
                    calm = site.calm.exists()
                    if _ship(shipper, 0.2) == 0 and calm:
                        return
                _ship(shipper, 5)
                os.close(lock)
            time.sleep(0.05)


def _ship(shipper: Shipper, seconds: float) -> int | None:
    try:
        handled = shipper.ship_once(seconds)
    except StoreUnavailable:
        time.sleep(0.1)
        return None
    if not handled:
        time.sleep(0.01)
    return handled
