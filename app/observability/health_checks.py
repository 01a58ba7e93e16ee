"""Health checks: each says in one word and one sentence how a part of the application is."""

import logging
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from flask import Flask
from sqlalchemy import Engine, text

from app.extensions import db
from app.observability.background import Call, Calls
from app.observability.disk import free_ratio
from app.observability.measured_metrics import dropped_records

log = logging.getLogger(__name__)

HEALTHY, WARNING, UNHEALTHY = "healthy", "warning", "unhealthy"
_SEVERITY = (HEALTHY, WARNING, UNHEALTHY)

TIME_LIMIT = 2.0
# Longer than another process needs to take over from a runner that died.
RUNNER_SILENCE = 30.0
LONGEST_LAG = 300.0


@dataclass(frozen=True)
class Result:
    status: str
    detail: str
    duration_ms: float = 0.0


Check = Callable[[], Result]


class RunnerState(Protocol):
    """What the runner left for others to read."""

    @property
    def seen_at(self) -> datetime: ...
    @property
    def lag_seconds(self) -> float | None: ...
    @property
    def store_error(self) -> str | None: ...


class HealthChecks:
    """Runs an app's checks side by side; none of them can keep the answer waiting."""

    def __init__(self, checks: Mapping[str, Check], time_limit: float = TIME_LIMIT) -> None:
        self._checks = dict(checks)
        self._time_limit = time_limit
        self._calls = Calls()
        self._lock = threading.Lock()
        self._last: dict[str, str] = {}

    def run(self, *names: str) -> dict[str, Result]:
        """Run the named checks, or all of them, within one time limit; never raises."""
        calls = {
            name: self._calls.start(name, self._checks[name]) for name in names or self._checks
        }
        results = {name: self._outcome(call) for name, call in calls.items()}
        for name, result in results.items():
            self._tell_change(name, result, calls[name].error)
        return results

    def _outcome(self, call: Call[Result]) -> Result:
        if not call.wait(self._time_limit):
            waited = round((time.monotonic() - call.started) * 1000, 1)
            return Result(UNHEALTHY, f"No answer within {self._time_limit:g} s.", waited)
        if call.result is None:
            # The error's text may name hosts, users and folders: that is for the log only.
            detail = f"Failed with {type(call.error).__name__}."
            return Result(UNHEALTHY, detail, call.duration_ms)
        return replace(call.result, duration_ms=call.duration_ms)

    def _tell_change(self, name: str, result: Result, error: Exception | None) -> None:
        # Only changes: probes come every few seconds and would fill the log.
        with self._lock:
            before = self._last.get(name, HEALTHY)
            self._last[name] = result.status
        if result.status != before:
            level = logging.INFO if result.status == HEALTHY else logging.WARNING
            fields = {"check": name, "before": before, "now": result.status}
            log.log(
                level, "health_changed", exc_info=error, extra={**fields, "detail": result.detail}
            )


def worst(results: Mapping[str, Result]) -> str:
    """Return the status of the whole: that of its worst part."""
    return max((result.status for result in results.values()), key=_SEVERITY.index, default=HEALTHY)


def make_checks(app: Flask) -> HealthChecks:
    """Return the checks of this app; needs its database bound."""
    with app.app_context():
        engine = db.engine
    started = datetime.now(UTC)

    folders = [Path(app.config[name]) for name in ("UPLOAD_FOLDER", "LOG_DIR")]

    def log_pipeline() -> Result:
        status = app.extensions.get("runner_status", lambda: None)()
        result = check_log_pipeline(status, app.config["SCHEDULER_ENABLED"], started)
        if not is_writable(folders[1]):
            result = Result(WARNING, "The log files cannot be written; lines go to stderr.")
        lost = dropped_records(folders[1], status)
        return replace(result, detail=f"{result.detail} Records lost: {lost}.") if lost else result

    return HealthChecks(
        {
            "database": lambda: check_database(engine),
            "uploads": lambda: check_uploads(folders[0]),
            "disk_space": lambda: check_disk_space(folders, app.config["DISK_WARNING_PERCENT"]),
            "log_pipeline": log_pipeline,
        }
    )


def check_database(engine: Engine) -> Result:
    """Ask the database the smallest question that it has to look at its data for."""
    # SQLite answers SELECT 1 without opening its file.
    question = "PRAGMA schema_version" if engine.dialect.name == "sqlite" else "SELECT 1"
    with engine.connect() as connection:
        connection.execute(text(question)).scalar()
    return Result(HEALTHY, "Answers.")


def check_uploads(folder: Path) -> Result:
    """Write to the upload folder; leaves no file behind."""
    _write_to(folder)
    return Result(HEALTHY, "Can be written.")


def is_writable(folder: Path) -> bool:
    """Tell whether a file in a folder can be written now."""
    try:
        _write_to(folder)
    except OSError:
        return False
    return True


def _write_to(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x")
        file.flush()


def check_disk_space(folders: list[Path], warning_percent: float) -> Result:
    """Compare the free space of the fullest disk with the limit, in percent."""
    free = 100 * min(free_ratio(folder) for folder in folders)
    status = WARNING if free < warning_percent else HEALTHY
    return Result(status, f"{free:.1f} % free.")


def check_log_pipeline(status: RunnerState | None, enabled: bool, up_since: datetime) -> Result:
    """Tell how far the log store is behind; a runner that is not there is a warning.

    Where the settings have another process run it, as in compose, one that never was is none.
    After a start the last runner's old status does not count until a new one has had the time
    to come up.
    """
    now = datetime.now(UTC)
    due = (now - up_since).total_seconds() > RUNNER_SILENCE
    if status is None:
        return Result(WARNING if enabled and due else HEALTHY, "No runner has been seen yet.")
    silence = (now - status.seen_at).total_seconds()
    # A time to come is a clock's that was ahead: nobody has been seen since.
    if abs(silence) > RUNNER_SILENCE:
        detail = f"The runner was last seen {silence:.0f} s ago."
        return Result(WARNING if due else HEALTHY, detail)
    if status.store_error:
        return Result(WARNING, "The log store does not take records; they wait in the files.")
    lag = status.lag_seconds or 0
    return Result(WARNING if lag > LONGEST_LAG else HEALTHY, f"{lag:.1f} s behind.")
