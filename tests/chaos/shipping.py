"""A process that ships until it is killed: LOG_DIR STORE_URL DATABASE_URL KILL_AT KILL_AFTER.

KILL_AT names the point at which it kills itself, the KILL_AFTER-th time it passes there.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.logstore import outbox, sql_append
from app.logstore.mongo_append import MongoAppender
from app.logstore.mongo_store import MongoStore
from app.logstore.shipper import Shipper
from app.logstore.sql_store import SqlStore
from app.observability import log_spool
from tests.logstore.stores import open_engine, open_store

log_dir, store_url, database_url, kill_at, kill_after = sys.argv[1:]
left = int(kill_after)


def kill_now(*_: Any) -> None:
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)


def with_records(function: Callable[..., Any]) -> Callable[..., Any]:
    """Have a checkpoint's function pass by when it is for no records, which nothing would lose."""
    plain = keeper._keep
    return lambda *args: (function if any(type(one) is int and one for one in args) else plain)(
        *args
    )


def before(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **named: (kill_now(), function(*args, **named))[1]


def after(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **named: (function(*args, **named), kill_now())[0]


Store: Any = MongoStore if store_url.startswith("mongodb") else SqlStore
keeper: Any = MongoAppender if store_url.startswith("mongodb") else sql_append

if kill_at == "between records and checkpoint":
    keeper._keep = with_records(before(keeper._keep))
elif kill_at == "before the commit":
    keeper._keep = with_records(after(keeper._keep))
elif kill_at == "after the commit":
    Store.append = after(Store.append)
elif kill_at == "before the outbox is emptied":
    outbox.remove = before(outbox.remove)
elif kill_at == "before pruning":
    log_spool.prune = before(log_spool.prune)
elif kill_at == "before noting what is shipped":
    log_spool.mark_shipped = before(log_spool.mark_shipped)
elif kill_at == "before a checkpoint is forgotten":
    Store.forget = before(Store.forget)

database = open_engine(database_url, tables=False)
with open_store(store_url, ready=False) as store:
    shipper = Shipper(store, Path(log_dir), database, backup_count=1)
    while True:
        if not shipper.ship_once():
            time.sleep(0.005)
