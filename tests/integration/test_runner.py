"""The runner under real servers: exactly one, whatever dies."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from app.scheduler.status import read_status
from tests.helpers import (
    ROOT,
    Server,
    children_of,
    command_of,
    free_port,
    is_running,
    run_flask,
    server_env,
    wait_for,
)

TAKE_OVER_SECONDS = 15
# An orphan ends at once; the rest is for a busy machine.
ORPHAN_SECONDS = 20


def runners(log_dir: Path) -> list[int]:
    """Return every process that runs the runner of this LOG_DIR, whoever its parent is."""
    found = []
    for process in psutil.process_iter(["pid"]):
        if "scheduler run" not in command_of(process.pid) or not is_running(process.pid):
            continue
        with contextlib.suppress(psutil.Error):
            if process.environ().get("LOG_DIR") == str(log_dir):
                found.append(process.pid)
    return found


def the_runner(log_dir: Path) -> int:
    """Return the one runner, once it is at work."""

    def at_work() -> int:
        status = read_status(log_dir)
        return status.pid if status and runners(log_dir) == [status.pid] else 0

    return wait_for(at_work, TAKE_OVER_SECONDS)


def holder(server: Server, runner: int) -> int:
    return next(worker for worker in server.workers() if runner in children_of(worker))


def family(server: Server) -> list[int]:
    members = [server.process.pid, *server.workers()]
    return [*members, *runners(server.log_dir)]


def test_four_workers_have_one_runner_and_it_survives_every_death(
    serve: Callable[..., Server],
) -> None:
    server = serve(workers=4)
    first = the_runner(server.log_dir)
    assert len(server.workers()) == 4

    # The worker that holds it is killed: its runner goes with it, and another worker's comes.
    os.kill(holder(server, first), signal.SIGKILL)
    wait_for(lambda: not is_running(first), ORPHAN_SECONDS)
    second = the_runner(server.log_dir)
    assert second != first
    wait_for(lambda: len(server.workers()) == 4, message="no worker came for the holder")

    # The runner itself is killed.
    os.kill(second, signal.SIGKILL)
    wait_for(lambda: not is_running(second), message="the killed runner still runs")
    third = the_runner(server.log_dir)
    assert third != second

    # What its parent said about that is in the store: the third one ships.
    def ended() -> set[int]:
        lines = server.flask("logs", "search", "--json", "runner_ended").stdout.splitlines()
        return {json.loads(line)["details"]["runner_pid"] for line in lines}

    wait_for(lambda: second in ended(), 20, "the end of the second runner is not in the store")

    # A worker that does not hold it is killed: nothing changes.
    other = next(pid for pid in server.workers() if pid != holder(server, third))
    os.kill(other, signal.SIGKILL)
    wait_for(lambda: not is_running(other), message="the killed worker still runs")
    wait_for(lambda: len(server.workers()) == 4, message="no worker came for the killed one")
    assert runners(server.log_dir) == [third]


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_to_the_server_ends_everything(
    serve: Callable[..., Server], sig: signal.Signals
) -> None:
    server = serve(workers=4)
    the_runner(server.log_dir)
    members = family(server)
    server.process.send_signal(sig)
    assert server.process.wait(timeout=30) == 0
    assert [pid for pid in members if is_running(pid)] == []
    assert runners(server.log_dir) == []


def test_ctrl_c_in_the_terminal_ends_everything(serve: Callable[..., Server]) -> None:
    server = serve(workers=4)
    the_runner(server.log_dir)
    members = family(server)
    # A terminal sends it to the whole group, the runner included.
    os.killpg(server.process.pid, signal.SIGINT)
    assert server.process.wait(timeout=30) == 0
    wait_for(lambda: not [pid for pid in members if is_running(pid)])
    assert runners(server.log_dir) == []
    said = [one["message"] for one in server.records() if one["level"] not in {"INFO", "DEBUG"}]
    assert "runner_ended" not in said


def test_when_the_whole_server_is_killed_nothing_stays_behind(
    serve: Callable[..., Server],
) -> None:
    server = serve(workers=2)
    runner = the_runner(server.log_dir)
    for pid in [server.process.pid, *server.workers()]:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_running(runner), ORPHAN_SECONDS)
    assert runners(server.log_dir) == []


def test_a_deleted_log_folder_gets_a_new_runner_and_still_only_one(
    serve: Callable[..., Server],
) -> None:
    server = serve(workers=2)
    first = the_runner(server.log_dir)
    (server.log_dir / ".runner.lock").unlink()
    wait_for(lambda: not is_running(first))
    second = the_runner(server.log_dir)
    wait_for(lambda: runners(server.log_dir) == [second])


def test_with_the_scheduler_off_there_is_none(serve: Callable[..., Server]) -> None:
    server = serve(workers=2, env={"SCHEDULER_ENABLED": "false"})
    with urlopen(f"{server.url}/health/live") as answer:
        assert answer.status == 200
    assert runners(server.log_dir) == []
    assert not (server.log_dir / ".runner.lock").exists()


def test_neither_a_command_nor_a_migration_has_one(tmp_path: Path) -> None:
    env = server_env(tmp_path)
    for command in (["db", "upgrade"], ["routes"], ["logs", "search", "--json"]):
        run_flask(env, *command)
    assert runners(Path(env["LOG_DIR"])) == []
    assert not Path(env["LOG_DIR"], ".runner.lock").exists()


@pytest.fixture
def flask_server(tmp_path: Path) -> Iterator[tuple[str, dict[str, str], subprocess.Popen[bytes]]]:
    """The development server with its reloader."""
    env = server_env(tmp_path)
    run_flask(env, "db", "upgrade")
    port = free_port()
    command = ["--app", "wsgi", "run", "--debug", "--port", str(port)]
    with (tmp_path / "flask.out").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "flask", *command],
            cwd=ROOT, env=env, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}", env, process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def live(url: str) -> bool:
    with contextlib.suppress(OSError), urlopen(f"{url}/health/live", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def test_the_development_server_has_one_runner_that_ends_with_it(
    flask_server: tuple[str, dict[str, str], subprocess.Popen[bytes]],
) -> None:
    url, env, process = flask_server
    log_dir = Path(env["LOG_DIR"])
    wait_for(lambda: live(url), 30)
    runner = the_runner(log_dir)
    # Several requests and two processes, the reloader's and the server's: still one.
    assert all(live(url) for _ in range(5))
    assert runners(log_dir) == [runner]
    os.killpg(process.pid, signal.SIGINT)
    process.wait(timeout=30)
    wait_for(lambda: runners(log_dir) == [])
