"""The runner, one background process per host: it ships the logs and runs the jobs."""

from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask, request, request_started

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
        request_started.connect(_stand_at_first_request, app)


def _stand_at_first_request(app: Flask, **_: Any) -> None:
    # A server names itself in the request; a test client, which commands use as well, does not.
    if "SERVER_SOFTWARE" in request.environ:
        request_started.disconnect(_stand_at_first_request, app)
        stand_for_election(app)
