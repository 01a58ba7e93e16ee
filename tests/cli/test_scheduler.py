import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from app.cli.scheduler import run
from app.scheduler.election import take_lock
from app.scheduler.status import read_status
from tests.helpers import ROOT, server_env, wait_for


@pytest.fixture
def site(make_app: Callable[..., Flask], tmp_path: Path) -> dict[str, str]:
    """The settings of an application whose tables are there."""
    env = server_env(tmp_path)
    make_app(DATABASE_URL=env["DATABASE_URL"], LOG_DIR=env["LOG_DIR"])
    return env


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def begin(env: dict[str, str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "wsgi", "scheduler", "run"],
            cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def is_runner(env: dict[str, str], process: subprocess.Popen[str]) -> bool:
    status = read_status(Path(env["LOG_DIR"]))
    return status is not None and status.pid == process.pid


def said(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_runner_started_by_hand_works_until_it_is_stopped(
    site: dict[str, str], start: Callable[..., subprocess.Popen[str]], sig: signal.Signals
) -> None:
    # A web process that brings none does not keep this command from being one.
    process = start({**site, "SCHEDULER_ENABLED": "false"})
    wait_for(lambda: is_runner(site, process))
    process.send_signal(sig)
    assert process.wait(timeout=20) == 0


def test_while_another_runs_it_says_so_and_takes_over(
    site: dict[str, str], start: Callable[..., subprocess.Popen[str]]
) -> None:
    first = start(site)
    wait_for(lambda: is_runner(site, first))
    second = start(site)
    line = said(second)
    assert line == f"Another runner is at work in {site['LOG_DIR']}; waiting to take over.\n"
    assert is_runner(site, first)
    first.kill()
    wait_for(lambda: is_runner(site, second), 15)


def test_waiting_ends_with_the_signal(
    site: dict[str, str], start: Callable[..., subprocess.Popen[str]]
) -> None:
    lock = take_lock(Path(site["LOG_DIR"]))
    assert lock is not None
    try:
        process = start(site)
        said(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == -signal.SIGTERM
    finally:
        os.close(lock)


def test_root_does_not_lock_the_application_out_of_its_logs(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_dir = Path(app.config["LOG_DIR"])
    log_dir.mkdir(exist_ok=True)
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to another user")
    os.chown(log_dir, 65534, 65534)
    answer = app.test_cli_runner().invoke(run)
    assert answer.exit_code == 1
    assert answer.stderr == (
        f"Error: {log_dir} belongs to {log_dir.owner()}; run this as that user, not as root.\n"
    )
    assert not (log_dir / ".runner.lock").exists()
