"""Once a minute each serving process tells how it is: CPU, memory, database pool and disk.

The metric of the pool, which all workers write for whoever is asked for it, is shown more often.
"""

import atexit
import logging
import threading
from itertools import count
from pathlib import Path
from typing import Any

import psutil
from flask import Flask
from sqlalchemy import Pool

from app.extensions import db
from app.first_request import at_first_request
from app.observability.disk import free_ratio
from app.observability.events import record_event
from app.observability.metrics import show_pools

log = logging.getLogger(__name__)

INTERVAL = 5.0
_SAMPLE_EACH = 12  # Intervals: a minute.
_EXTENSION = "sampler"
_STOP_TIMEOUT = 2.0


def init_app(app: Flask) -> None:
    """Begin with the first request that a server hands on; starts nothing here.

    So a command, a migration or a test never writes samples.
    """
    at_first_request(app, start)


def start(app: Flask, process: str = "server") -> None:
    """Let this process write samples until stop(), once; `process` says what kind it is."""
    running: Sampler | None = app.extensions.get(_EXTENSION)
    # After a fork the object is there and its thread is not.
    if running is None or not running.is_alive():
        app.extensions[_EXTENSION] = sampler = Sampler(app, process)
        sampler.start()


def stop(app: Flask) -> None:
    """Write no more samples."""
    running: Sampler | None = app.extensions.pop(_EXTENSION, None)
    if running is not None and running.is_alive():
        running.stop()


class Sampler(threading.Thread):
    """Write a sample once a minute; nothing that fails here is felt elsewhere."""

    def __init__(self, app: Flask, process: str, interval: float = INTERVAL) -> None:
        super().__init__(name="sampler", daemon=True)
        self._app = app
        self._process = process
        self._interval = interval
        self._stopping = threading.Event()
        self._failing = False

    def run(self) -> None:
        # The interpreter's end waits for no daemon, which must not log while it comes.
        atexit.register(self._stopping.set)
        measured = psutil.Process()
        measured.cpu_percent()
        for turn in count(1):
            try:
                self._look(measured, tell=turn % _SAMPLE_EACH == 0)
            except Exception:
                # Told once until it works again.
                if not self._failing:
                    log.warning("sample_not_taken", exc_info=True)
                self._failing = True
            if self._stopping.wait(self._interval):
                break
        atexit.unregister(self._stopping.set)

    def _look(self, measured: psutil.Process, *, tell: bool) -> None:
        with self._app.app_context():
            show_pools()
        if tell:
            details = {"process": self._process, **take_sample(self._app, measured)}
            if not self._stopping.is_set():
                record_event("sample", "sample", details=details)
            self._failing = False

    def stop(self) -> None:
        self._stopping.set()
        self.join(_STOP_TIMEOUT)


def take_sample(app: Flask, process: Any) -> dict[str, Any]:
    """Return what one process uses: CPU since the last call, memory, connections, free disk."""
    with app.app_context():
        pool = db.engine.pool
    folders = (("uploads", "UPLOAD_FOLDER"), ("logs", "LOG_DIR"))
    return {
        "cpu_percent": process.cpu_percent(),
        "rss_bytes": process.memory_info().rss,
        "pool": pool_use(pool),
        "disk_free": {
            use: round(free_ratio(Path(app.config[setting])), 4) for use, setting in folders
        },
    }


def pool_use(pool: Pool) -> dict[str, int]:
    """Return how many connections are in use, may stay open, and are open beyond that."""
    asked = {"in_use": "checkedout", "size": "size", "overflow": "overflow"}
    # A pool of one connection counts nothing; one that is not full has less than none over.
    return {name: max(getattr(pool, ask, lambda: 0)(), 0) for name, ask in asked.items()}
