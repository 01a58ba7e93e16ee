"""The runner, one background process per host: it ships the logs and runs the jobs."""

from functools import partial
from pathlib import Path

from flask import Flask

from app.first_request import at_first_request
from app.scheduler.election import stand_down, stand_for_election
from app.scheduler.status import RunnerStatus, read_status

__all__ = ["RunnerStatus", "init_app", "read_status", "stand_down", "stand_for_election"]


def init_app(app: Flask) -> None:
    """Show the runner's status; let a process that serves compete for the runner.

    Starts nothing: under gunicorn that is done by its `post_worker_init`, elsewhere by the
    first request, so a command, a migration or a test never has a runner.
    """
    app.extensions["runner_status"] = partial(read_status, Path(app.config["LOG_DIR"]))
    if app.config["SCHEDULER_ENABLED"]:
        at_first_request(app, stand_for_election)
