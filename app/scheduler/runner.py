"""The runner: ships the log to the store in its loop, and has APScheduler run the jobs."""

import logging
import os
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask

from app.logstore.contract import StoreUnavailable
from app.logstore.shipper import Shipper
from app.observability.events import record_error, record_event
from app.observability.log_redaction import redact_text
from app.scheduler.election import is_current
from app.scheduler.jobs import Job, jobs_of, make_scheduler
from app.scheduler.status import RunnerStatus, write_status

log = logging.getLogger(__name__)

PAUSE = 0.2
FIRST_BACK_OFF, LONGEST_BACK_OFF = 0.5, 5.0
# One pass ships what there is, for this long at most: then the status is due again.
_PASS_SECONDS = _STATUS_EVERY = 1.0
_LAST_PASS_SECONDS = 0.8
# Longer would keep a server with one process from starting the next runner.
_HELD_SECONDS = 60.0


class Runner:
    """Run until `stop` is set or the lock is no longer that of LOG_DIR."""

    def __init__(
        self, app: Flask, lock: int, shipper: Shipper, stop: threading.Event,
        jobs: tuple[Job, ...] | None = None,
    ) -> None:  # fmt: skip
        self._app = app
        self._lock = lock
        self._log_dir = Path(app.config["LOG_DIR"])
        self._shipper = shipper
        self._stop = stop
        self._jobs = jobs_of(app) if jobs is None else jobs
        self._started_at = datetime.now(UTC)
        self._ship_at = self._status_at = 0.0
        self._back_off = 0.0
        self._trouble: str | None = None
        self._status_fails = False
        self._ran: dict[str, dict[str, Any]] = {}

    def run(self) -> None:
        """Work until the end; then ship what is left, for a moment, and return.

        When its lock is gone, with LOG_DIR, the moment is up to a minute.
        """
        with self._app.app_context():
            for begin in self._app.extensions.get("at_runner_start", ()):
                begin()
        scheduler = make_scheduler(self._app, self._report_job, self._jobs)
        scheduler.start()
        try:
            while not self._stop.is_set() and is_current(self._lock, self._log_dir):
                self._stop.wait(self._step())
        finally:
            scheduler.shutdown(wait=False)
        self._ship(_LAST_PASS_SECONDS)
        # Of a LOG_DIR that was removed nobody else can read what this one still holds open.
        end = time.monotonic() + _HELD_SECONDS
        while self._shipper.held_without_name and time.monotonic() < end:
            if self._stop.wait(self._back_off or PAUSE):
                break
            self._ship(_LAST_PASS_SECONDS)
        if is_current(self._lock, self._log_dir):
            self._write_status()

    def _step(self) -> float:
        """Ship what there is if it is time to, show it, and return the seconds to wait."""
        if time.monotonic() >= self._ship_at:
            self._ship(_PASS_SECONDS)
            self._ship_at = time.monotonic() + (self._back_off or PAUSE)
        if time.monotonic() >= self._status_at:
            self._write_status()
        return max(min(self._ship_at, self._status_at) - time.monotonic(), 0.0)

    def _ship(self, seconds: float) -> None:
        try:
            self._shipper.ship_once(seconds)
        except StoreUnavailable as error:
            self._suffer(str(error) or "the log store cannot be used", error)
        except Exception as error:  # noqa: BLE001 - one bad pass may not end the runner
            self._suffer(f"{type(error).__name__}: {error}", error)
        else:
            self._recover()

    def _suffer(self, trouble: str, error: Exception) -> None:
        self._back_off = min(max(2 * self._back_off, FIRST_BACK_OFF), LONGEST_BACK_OFF)
        first, self._trouble = self._trouble is None, redact_text(trouble)
        if not first:
            # Said once: a line for each try would itself have to be shipped.
            return
        if isinstance(error, StoreUnavailable):
            record_event(
                "log_store_unavailable", "log store unavailable",
                level=logging.WARNING, details={"reason": self._trouble},
            )  # fmt: skip
        else:
            record_error(error, details={"job": "ship"})

    def _recover(self) -> None:
        self._back_off = 0.0
        if self._trouble is not None:
            self._trouble = None
            record_event("log_store_available", "log store available")

    def _report_job(self, name: str, told: Mapping[str, Any]) -> None:
        # A new dict: the loop may be writing the old one down.
        self._ran = {**self._ran, name: dict(told)}

    def _write_status(self) -> None:
        self._status_at = time.monotonic() + _STATUS_EVERY
        try:
            write_status(self._log_dir, self._status())
            self._status_fails = False
        except OSError as error:
            if not self._status_fails:
                self._status_fails = True
                log.warning("runner_status_not_written", extra={"reason": error.strerror})

    def _status(self) -> RunnerStatus:
        return RunnerStatus(
            pid=os.getpid(),
            started_at=self._started_at,
            seen_at=datetime.now(UTC),
            lag_seconds=self._shipper.lag_seconds,
            unshipped_bytes=self._shipper.unshipped_bytes,
            shipped_through=self._shipper.shipped_through,
            store_error=self._trouble,
            dropped=self._shipper.dropped,
            refused=self._shipper.refused,
            torn=self._shipper.torn,
            jobs=self._ran,
        )
