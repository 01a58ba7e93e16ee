import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from app.scheduler import election
from app.scheduler.election import (
    LOCK_NAME,
    Election,
    is_current,
    stand_down,
    stand_for_election,
    take_lock,
)
from tests.helpers import ROOT, is_running, log_lines, wait_for

# A project whose runner says who it is, and ends when its parent's pipe does.
WSGI = """
import os, sys
from flask import Flask
from flask.cli import AppGroup
import click
app = Flask(__name__)
group = AppGroup("scheduler")
@group.command("run")
@click.option("--lock-fd", type=int)
def run(lock_fd):
    os.fstat(lock_fd)
    with open("runners", "a") as file:
        file.write(f"{os.getpid()}\\n")
    if os.path.exists("fail"):
        sys.exit(7)
    sys.stdin.read()
app.cli.add_command(group)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "wsgi.py").write_text(WSGI)
    monkeypatch.setattr(election, "INTERVAL", 0.05)
    return folder


@pytest.fixture
def start(project: Path, tmp_path: Path) -> Iterator[Callable[..., Election]]:
    running: list[Election] = []

    def make(may_win: Callable[[], bool] = lambda: True) -> Election:
        one = Election(tmp_path / "logs", project, may_win)
        running.append(one)
        one.start()
        return one

    yield make
    for one in running:
        one.stop()


def runners(project: Path) -> list[int]:
    file = project / "runners"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def living(project: Path) -> list[int]:
    return [pid for pid in runners(project) if is_running(pid)]


def test_the_lock_is_held_by_one(tmp_path: Path) -> None:
    first = take_lock(tmp_path)
    assert first is not None
    assert take_lock(tmp_path) is None
    os.close(first)
    second = take_lock(tmp_path)
    assert second is not None
    os.close(second)


def test_the_lock_makes_its_folder(tmp_path: Path) -> None:
    lock = take_lock(tmp_path / "new" / "logs")
    assert lock is not None
    os.close(lock)


def test_a_lock_ends_with_the_process_that_holds_it(tmp_path: Path) -> None:
    code = (
        f"from app.scheduler.election import take_lock; from pathlib import Path;"
        f"print(take_lock(Path({str(tmp_path)!r})), flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip().isdigit()
        assert take_lock(tmp_path) is None
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    lock = take_lock(tmp_path)
    assert lock is not None
    os.close(lock)


def test_a_lock_whose_file_is_gone_is_no_longer_current(tmp_path: Path) -> None:
    lock = take_lock(tmp_path)
    assert lock is not None
    assert is_current(lock, tmp_path)
    (tmp_path / LOCK_NAME).unlink()
    assert not is_current(lock, tmp_path)
    another = take_lock(tmp_path)
    assert another is not None
    assert not is_current(lock, tmp_path)
    os.close(lock)
    os.close(another)


def test_of_many_candidates_one_has_a_runner(start: Callable[..., Election], project: Path) -> None:
    for _ in range(4):
        start()
    wait_for(lambda: runners(project))
    lock = take_lock(project.parent / "logs")
    assert lock is None
    assert len(runners(project)) == 1


def test_when_the_winner_stops_another_takes_over(
    start: Callable[..., Election], project: Path
) -> None:
    first = start()
    (pid,) = wait_for(lambda: runners(project))
    start()
    first.stop()
    assert not is_running(pid)
    wait_for(lambda: len(runners(project)) == 2)
    assert len(living(project)) == 1


def test_a_killed_runner_comes_back(start: Callable[..., Election], project: Path) -> None:
    start()
    (pid,) = wait_for(lambda: runners(project))
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(runners(project)) == 2)


def test_a_runner_that_keeps_failing_is_started_less_and_less_often(
    start: Callable[..., Election], project: Path, app: Flask
) -> None:
    (project / "fail").touch()
    one = start()
    wait_for(lambda: len(runners(project)) == 2, 20)
    assert one._short_lives >= 1
    ends = [line for line in log_lines(app) if line["message"] == "runner_ended"]
    assert ends[0]["level"] == "WARNING"
    assert ends[0]["details"]["exit_code"] == 7


def test_a_process_that_may_not_win_starts_nothing(
    start: Callable[..., Election], project: Path, tmp_path: Path
) -> None:
    asked: list[int] = []
    start(lambda: bool(asked.append(1)))
    wait_for(lambda: len(asked) > 3)
    assert runners(project) == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied", "/logs/.runner.lock"), "Permission denied"),
        (ValueError("of any other kind"), "ValueError"),
    ],
)
def test_what_keeps_a_runner_from_starting_is_said_once(
    project: Path,
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    error: Exception,
    reason: str,
) -> None:
    tries: list[int] = []

    def refuse(_log_dir: Path) -> None:
        tries.append(1)
        raise error

    monkeypatch.setattr(election, "take_lock", refuse)
    one = Election(tmp_path / "logs", project, lambda: True)
    one.start()
    try:
        wait_for(lambda: len(tries) > 2)
    finally:
        one.stop()
    said = [line for line in log_lines(app) if line["message"] == "runner_not_started"]
    assert [line["details"]["reason"] for line in said] == [reason]


def test_standing_twice_is_standing_once(
    app: Flask, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.config["SCHEDULER_ENABLED"] = True
    monkeypatch.setattr(app, "root_path", str(project / "app"))
    stand_for_election(app)
    first = app.extensions["runner_election"]
    stand_for_election(app)
    assert app.extensions["runner_election"] is first
    (pid,) = wait_for(lambda: runners(project))
    stand_down(app)
    assert not is_running(pid)
    assert not first.is_alive()
    stand_down(app)


def test_with_the_scheduler_off_nobody_stands(app: Flask) -> None:
    app.config["SCHEDULER_ENABLED"] = False
    stand_for_election(app)
    assert "runner_election" not in app.extensions
