import contextlib
import fcntl
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import urlopen

import pytest
from flask import Flask

from app.observability.log_spool import rotated
from app.scheduler.status import RunnerStatus, read_status
from tests.helpers import (
    ROOT,
    Server,
    answers,
    children_of,
    is_running,
    server_env,
    serving,
    wait_for,
)

CONF = ROOT / "gunicorn.conf.py"


def environ_of(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def metrics_folder(server: Server) -> Path:
    """Return the folder from the runner's environment, which the server made up."""
    return Path(environ_of(wait_for(lambda: runner_of(server)))["PROMETHEUS_MULTIPROC_DIR"])


def runner_of(server: Server) -> int:
    own = set(server.workers())
    return next((pid for worker in own for pid in children_of(worker)), 0)


def slots(folder: Path) -> set[str]:
    return {path.stem.rpartition("_")[2] for path in folder.glob("*_*.db")}


def counter(url: str, name: str) -> float:
    with urlopen(f"{url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if re.match(rf"{name}({{|\s)", line))


@pytest.fixture
def own_signals() -> Iterator[None]:
    """Give this process back what a worker does when it is told to end."""
    known = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGQUIT)}
    yield
    for number, handler in known.items():
        signal.signal(number, handler)


@pytest.fixture
def conf(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("PORT", "8123")
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    monkeypatch.setenv("LOG_LEVEL", "WARNING")
    return runpy.run_path(str(CONF))


def test_it_follows_the_settings(conf: dict[str, Any]) -> None:
    assert (conf["bind"], conf["workers"], conf["loglevel"]) == ("127.0.0.1:8123", 3, "warning")
    assert conf["control_socket_disable"] is True
    assert conf["worker_class"] == "gthread"
    assert conf["graceful_timeout"] <= 10


@pytest.mark.usefixtures("own_signals")
def test_a_worker_tells_how_it_is_from_its_start_to_its_end(
    conf: dict[str, Any], app: Flask
) -> None:
    worker = SimpleNamespace(wsgi=app, alive=True, pid=os.getpid())
    conf["post_worker_init"](worker)
    sampler = app.extensions["sampler"]
    assert sampler.is_alive()
    conf["worker_exit"](None, worker)
    assert not sampler.is_alive()


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "http"), ("WEB_CONCURRENCY", "0"), ("LOG_LEVEL", "LOUD"), ("DATABASE_URL", "x")],
)
def test_a_bad_setting_stops_the_start_with_one_line(tmp_path: Path, name: str, value: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn"], cwd=ROOT, env={**server_env(tmp_path), name: value},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{name}: ")


def test_a_setting_that_only_the_application_can_judge_stops_the_start_too(
    tmp_path: Path,
) -> None:
    env = {**server_env(tmp_path), "SENTRY_DSN": "nonsense", "WEB_CONCURRENCY": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0"], cwd=ROOT, env=env,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0
    lines = done.stderr.splitlines()
    assert [line for line in lines if line.startswith("SENTRY_DSN: ")]
    assert not [line for line in lines if line.startswith("Traceback")]


def test_gunicorns_own_records_are_in_the_same_file_and_format(
    serve: Callable[..., Server],
) -> None:
    server = serve(workers=1)
    by_message = {one["message"]: one for one in server.records() if "gunicorn" in one["logger"]}
    master = next(one for text, one in by_message.items() if text.startswith("Listening at"))
    worker = next(one for text, one in by_message.items() if text.startswith("Booting worker"))
    assert (master["logger"], master["level"]) == ("gunicorn.error", "INFO")
    assert master["pid"] == server.process.pid
    assert worker["pid"] == server.workers()[0]
    # Once each, on the console as well.
    console = (server.folder / "gunicorn.out").read_text().splitlines()
    assert len([line for line in console if "Listening at" in line]) == 1
    server.stop()
    texts = [one["message"] for one in server.records()]
    assert "Shutting down: Master" in texts


def test_metrics_files_go_by_slot_and_the_folder_ends_with_the_server(
    serve: Callable[..., Server],
) -> None:
    server = serve(workers=2)
    folder = metrics_folder(server)
    wait_for(lambda: slots(folder) == {"1", "2", "master", "runner"})
    for _ in range(2):
        victim = server.workers()[0]
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda victim=victim: len(server.workers()) == 2 and not is_running(victim))
    wait_for(lambda: runner_of(server), 15)
    assert slots(folder) == {"1", "2", "master", "runner"}
    assert server.stop() == 0
    assert not folder.exists()


def test_counts_outlive_the_worker_that_made_them(serve: Callable[..., Server]) -> None:
    server = serve(workers=1)
    before = counter(server.url, "log_records_total")
    (victim,) = server.workers()
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: server.workers() not in ([], [victim]))
    wait_for(lambda: counter(server.url, "log_records_total") > before)


def test_a_worker_that_is_told_to_end_while_it_hands_a_request_over_ends_in_order(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, workers=1, app="tests.interrupted_wsgi:app") as server:
        (worker,) = server.workers()
        runner = wait_for(lambda: runner_of(server), 15)
        (server.log_dir / "interrupt").touch()
        with contextlib.suppress(OSError):
            urlopen(f"{server.url}/health/live", timeout=5)
        wait_for(lambda: not is_running(worker), 5)
        assert not is_running(runner)
        said = (tmp_path / "gunicorn.out").read_text()
        assert f"Worker exiting (pid: {worker})" in said
        assert "SIGKILL" not in said


def test_a_reload_keeps_slots_apart_and_one_runner(serve: Callable[..., Server]) -> None:
    server = serve(workers=2)
    folder = metrics_folder(server)
    old = set(server.workers())
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(server.workers()) == 2 and not old & set(server.workers()), 20)
    wait_for(lambda: runner_of(server), 15)
    assert metrics_folder(server) == folder
    assert slots(folder) <= {"1", "2", "3", "4", "master", "runner"}
    with urlopen(f"{server.url}/health/live") as answer:
        assert answer.status == 200


def test_a_folder_left_by_a_killed_server_is_swept_and_a_living_ones_is_not(
    conf: dict[str, Any], tmp_path: Path
) -> None:
    old = time.time() - 3600
    left, living, fresh = (tmp_path / f"glasshouse-metrics-{name}" for name in "abc")
    for folder in (left, living, fresh):
        folder.mkdir()
    for folder in (left, living):
        os.utime(folder, (old, old))
    held = os.open(living, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)
    try:
        conf["_sweep"](tmp_path)
    finally:
        os.close(held)
    assert sorted(tmp_path.iterdir()) == [living, fresh]


def test_the_master_which_seldom_writes_keeps_no_segment_from_going(tmp_path: Path) -> None:
    env = {"LOG_FILE_MAX_BYTES": "4096", "LOG_FILE_BACKUP_COUNT": "3"}
    with serving(tmp_path, workers=1, env=env) as server:
        wait_for(lambda: read_status(server.log_dir))
        for _ in range(60):
            answers(f"{server.url}/")
        # The master has written its first lines to the first of them, and nothing since.
        wait_for(lambda: len(rotated(server.log_dir / "app.log")) <= 5)
        status = wait_for(lambda: shipped(server, beyond=3))
        assert status.dropped == 0


def shipped(server: Server, beyond: int) -> RunnerStatus | None:
    status = read_status(server.log_dir)
    return status if status and status.shipped_through > beyond else None
