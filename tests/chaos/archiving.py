"""What a process does that archives until it kills itself."""

import os
import signal
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from app.logstore import archive, sql_partition_drop
from app.logstore.retention import Retention
from tests.logstore.stores import open_store

DAYS = {"debug": 7, "info": 30, "error": 90, "operation": 365}


def run(
    log_dir: Path, store_url: str, now: datetime, kill_at: str, kill_after: int, variant: str
) -> None:
    """Archive what has expired.

    This process kills itself at the point `kill_at`, the `kill_after`-th time it passes there. The
    variant `careless` deletes first and archives then, which the test must notice.
    """
    with open_store(store_url, ready=False) as store:
        _prepare_to_die(store, kill_at, kill_after)
        if variant == "careless":
            _be_careless(store)
        Retention(store, log_dir, DAYS, pause=0).run(now)


def _prepare_to_die(store: Any, kill_at: str, left: int) -> None:
    def kill_now() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **named: (kill_now(), function(*args, **named))[1]

    def after(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **named: (function(*args, **named), kill_now())[0]

    points: dict[str, tuple[Any, str, Callable[..., Any]]] = {
        "in the draft": (archive, "as_line", before),
        "after the file": (archive, "inspect", before),
        "before the manifest": (archive, "_write_manifest", before),
        "after the manifest": (archive, "_write_manifest", after),
        "during delete": (store, "purge", after),
        "before a partition is dropped": (store, "drop", before),
        "before the drop is committed": (sql_partition_drop, "_lock_at_once", after),
        "after a partition is dropped": (store, "drop", after),
    }
    if kill_at in points:
        owner, name, when = points[kill_at]
        setattr(owner, name, when(getattr(owner, name)))


def _be_careless(store: Any) -> None:
    expired = store.expired

    def take_out(keep: str, *args: Any) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = expired(keep, *args)
        store.purge(keep, [one["id"] for one in records])
        return records

    store.expired = take_out
