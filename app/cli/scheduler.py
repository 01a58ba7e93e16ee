"""The command that is the runner: `flask scheduler run`."""

import os
import sys
import time
from pathlib import Path

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from app.logstore.shipper import shipper_for
from app.scheduler.election import INTERVAL, take_lock
from app.scheduler.runner import Runner
from app.scheduler.stopping import Stopper

scheduler = AppGroup("scheduler", help="The runner: stores log records and runs the jobs.")


@scheduler.command("run")
@click.option("--lock-fd", type=int, hidden=True)
def run(lock_fd: int | None) -> None:
    """Run the runner until it is stopped; wait while another one is at work.

    Serving processes start one by themselves; as a service of its own, set
    SCHEDULER_ENABLED=false for them.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    if lock_fd is not None:
        # Started by a serving process, which hands over the lock and ends with this pipe.
        stopper, lock = Stopper(parent=sys.stdin.fileno()), lock_fd
    else:
        refuse_wrong_user(Path(app.config["LOG_DIR"]))
        lock = _wait_for_lock(Path(app.config["LOG_DIR"]))
        stopper = Stopper()
    Runner(app, lock, shipper_for(app), stopper.asked).run()


def _wait_for_lock(log_dir: Path) -> int:
    told = False
    while (lock := take_lock(log_dir)) is None:
        if not told:
            told = True
            click.echo(f"Another runner is at work in {log_dir}; waiting to take over.", err=True)
        try:
            time.sleep(INTERVAL)
        except KeyboardInterrupt:
            # Nothing was aborted; 130 is what a shell reports for a program that Ctrl-C ended.
            raise SystemExit(130) from None
    return lock


def refuse_wrong_user(log_dir: Path) -> None:
    """Refuse root where the logs are somebody else's: root's files would lock the app out."""
    if os.geteuid() != 0 or not log_dir.exists() or log_dir.stat().st_uid == 0:
        return
    raise click.ClickException(
        f"{log_dir} belongs to {log_dir.owner()}; run this as that user, not as root."
    )
