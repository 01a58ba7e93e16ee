import logging
import threading
from typing import Any

import pytest
from flask import Flask, current_app

from app.observability import log_context
from app.observability.events import record_event
from app.scheduler.jobs import MISFIRE_GRACE_SECONDS, Job, jobs_of, make_scheduler, run_job
from tests.helpers import log_lines, wait_for


class Reports(dict[str, Any]):
    def __call__(self, name: str, told: Any) -> None:
        self[name] = told


@pytest.fixture
def reports() -> Reports:
    return Reports()


def test_errors_are_checked_every_five_minutes_and_logs_archived_daily(app: Flask) -> None:
    every = {job.name: job.every_seconds for job in jobs_of(app)}
    assert every["check_error_rate"] == 300
    assert every["archive_logs"] <= 86_400


def test_each_run_has_its_own_request_id_on_all_its_records(app: Flask, reports: Reports) -> None:
    def work() -> None:
        record_event("sample", "first")
        logging.getLogger("app.somewhere").warning("second")

    for _ in range(2):
        run_job(app, Job("sampling", work, 60), reports)
    lines = [one for one in log_lines(app) if one["message"] in {"first", "second"}]
    ids = [one["request_id"] for one in lines]
    assert ids[0] == ids[1]
    assert ids[2] == ids[3]
    assert ids[0] != ids[2]
    assert {one["details"]["job"] for one in lines} == {"sampling"}
    assert reports["sampling"]["request_id"] == ids[3]
    assert log_context.current() == {}


def test_a_job_runs_in_an_app_context(app: Flask, reports: Reports) -> None:
    seen: list[str] = []
    run_job(app, Job("look", lambda: seen.append(current_app.config["APP_ENV"]), 60), reports)
    assert seen == ["testing"]
    assert reports["look"]["ok"] is True
    assert reports["look"]["duration_ms"] >= 0


def test_a_failing_job_is_one_error_record_with_the_job_and_the_exception(
    app: Flask, reports: Reports
) -> None:
    def fail() -> None:
        raise ValueError("no luck")

    run_job(app, Job("unlucky", fail, 60), reports)
    errors = [one for one in log_lines(app) if one["level"] == "ERROR"]
    assert len(errors) == 1
    assert errors[0]["action"] == "error"
    assert errors[0]["details"]["job"] == "unlucky"
    assert errors[0]["exception"]["type"] == "ValueError"
    assert errors[0]["request_id"] == reports["unlucky"]["request_id"]
    assert reports["unlucky"]["ok"] is False


def test_a_late_run_is_done_and_several_late_runs_are_one(app: Flask, reports: Reports) -> None:
    scheduler = make_scheduler(app, reports, jobs_of(app))
    scheduler.start(paused=True)
    try:
        found = {job.id: job for job in scheduler.get_jobs()}
        assert set(found) == {job.name for job in jobs_of(app)}
        job = found["check_error_rate"]
        assert (job.coalesce, job.max_instances, job.misfire_grace_time) == (
            True, 1, MISFIRE_GRACE_SECONDS,
        )  # fmt: skip
        assert job.trigger.interval.total_seconds() == 300
    finally:
        scheduler.shutdown()


def test_a_job_runs_again_after_its_interval_failed_or_not(app: Flask, reports: Reports) -> None:
    runs: list[int] = []

    def work() -> None:
        runs.append(1)
        raise RuntimeError("always")

    scheduler = make_scheduler(app, reports, (Job("often", work, 1),))
    scheduler.start()
    try:
        wait_for(lambda: len(runs) >= 2)
    finally:
        scheduler.shutdown()


def test_apscheduler_is_quiet_about_runs_and_its_warnings_reach_our_files(
    app: Flask, reports: Reports
) -> None:
    release = threading.Event()
    runs: list[int] = []

    def hang() -> None:
        runs.append(1)
        release.wait(10)

    scheduler = make_scheduler(app, reports, (Job("hanging", hang, 1),))
    scheduler.start()
    try:
        found = wait_for(
            lambda: [one for one in log_lines(app) if one["logger"].startswith("apscheduler")]
        )
    finally:
        release.set()
        scheduler.shutdown()
    assert {one["level"] for one in found} == {"WARNING"}
    assert len(runs) == 1
