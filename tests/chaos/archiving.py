"""A process that archives until it is killed: LOG_DIR STORE_URL NOW KILL_AT KILL_AFTER VARIANT.

KILL_AT names the point at which it kills itself, the KILL_AFTER-th time it passes there. The
VARIANT `careless` deletes first and archives then, which the test must notice.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from app.logstore import archive, sql_partition_drop
from app.logstore.retention import Retention
from tests.logstore.stores import open_store

log_dir, store_url, now, kill_at, kill_after, variant = sys.argv[1:]
store: Any = ExitStack().enter_context(open_store(store_url, ready=False))
left = int(kill_after)


def kill_now(*_: Any) -> None:
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)


def before(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **named: (kill_now(), function(*args, **named))[1]


def after(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **named: (function(*args, **named), kill_now())[0]


if kill_at == "in the draft":
    archive.as_line = before(archive.as_line)
elif kill_at == "after the file":
    archive.inspect = before(archive.inspect)
elif kill_at == "before the manifest":
    archive._write_manifest = before(archive._write_manifest)
elif kill_at == "after the manifest":
    archive._write_manifest = after(archive._write_manifest)
elif kill_at == "during delete":
    store.purge = after(store.purge)
elif kill_at == "before a partition is dropped":
    store.drop = before(store.drop)
elif kill_at == "before the drop is committed":
    sql_partition_drop._lock_at_once = after(sql_partition_drop._lock_at_once)
elif kill_at == "after a partition is dropped":
    store.drop = after(store.drop)

if variant == "careless":
    expired = store.expired

    def take_out(keep: str, *args: Any) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = expired(keep, *args)
        store.purge(keep, [one["id"] for one in records])
        return records

    store.expired = take_out

days = {"debug": 7, "info": 30, "error": 90, "operation": 365}
Retention(store, Path(log_dir), days, pause=0).run(datetime.fromisoformat(now))
