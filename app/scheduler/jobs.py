"""What runs when: the jobs as data, and how one run of a job is done."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from flask import Flask

from app.logstore.retention import archive_logs
from app.observability import log_context
from app.observability.events import record_error
from app.observability.ids import new_id

# A run that is late, because the machine slept or was busy, is still done within this time.
MISFIRE_GRACE_SECONDS = 120
# Soon after the start, so that an application which keeps restarting is checked, too.
FIRST_RUN_AFTER = timedelta(seconds=15)


@dataclass(frozen=True)
class Job:
    name: str
    work: Callable[[], object]
    every_seconds: int


# What is expired leaves once a day, by whole days. Asked more often, and after each start, a
# machine that slept or was off does not miss its day.
ARCHIVE_LOGS = Job("archive_logs", archive_logs, every_seconds=6 * 3600)

Report = Callable[[str, Mapping[str, Any]], None]


def jobs_of(app: Flask) -> tuple[Job, ...]:
    """Return the jobs of an application: a capability adds its own to `app.extensions["jobs"]`."""
    added = app.extensions.get("jobs", {})
    return (ARCHIVE_LOGS, *(Job(name, work, seconds) for name, (work, seconds) in added.items()))


def run_job(app: Flask, job: Job, report: Report) -> None:
    """Run a job once under a request ID of its own; a failure becomes one `error` record.

    `report` gets the job's name and what happened. Never raises.
    """
    request_id, started, clock = new_id(), datetime.now(UTC), time.monotonic()
    ok = True
    with log_context.bound(request_id=request_id, job=job.name), app.app_context():
        try:
            job.work()
        except Exception as error:  # noqa: BLE001 - a job that fails runs again next time
            ok = False
            record_error(error, details={"job": job.name})
    report(
        job.name,
        {
            "started_at": started.isoformat(),
            "duration_ms": round(1000 * (time.monotonic() - clock), 1),
            "ok": ok,
            "request_id": request_id,
        },
    )


def make_scheduler(app: Flask, report: Report, jobs: tuple[Job, ...]) -> BackgroundScheduler:
    """Return a scheduler, not started, that runs each job at its interval, one at a time."""
    scheduler = BackgroundScheduler(
        timezone=UTC,
        executors={"default": ThreadPoolExecutor(max(len(jobs), 1))},
        job_defaults={
            "coalesce": True,
            "max_instances": 1,
            "misfire_grace_time": MISFIRE_GRACE_SECONDS,
        },
    )
    for job in jobs:
        scheduler.add_job(
            run_job,
            "interval",
            id=job.name,
            args=(app, job, report),
            seconds=job.every_seconds,
            next_run_time=datetime.now(UTC)
            + min(FIRST_RUN_AFTER, timedelta(seconds=job.every_seconds)),
        )
    return scheduler
