"""One runner per LOG_DIR: serving processes compete for a lock, the winner starts the runner.

The lock is a `flock` on a file in LOG_DIR. The winner hands its open file to the runner and
keeps no copy, so the lock is held exactly as long as the runner lives, whatever kills it. The
runner's standard input is a pipe from its parent: when the parent dies, by `kill -9` as well,
the runner reads the end of it and stops, and another process wins the lock.
"""

import contextlib
import fcntl
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from flask import Flask

log = logging.getLogger(__name__)

LOCK_NAME = ".runner.lock"
INTERVAL = 1.0  # Seconds between two looks at the lock or the child.
_MAX_PAUSE = 60.0
_SHORT_LIFE = 10.0  # A runner that ends sooner has a problem that another start will not solve.
_STOP_TIMEOUT = 3.0
_EXTENSION = "runner_election"


def take_lock(log_dir: Path) -> int | None:
    """Return a descriptor that holds the runner's lock, or None while another process has it."""
    log_dir.mkdir(parents=True, exist_ok=True)
    fd = os.open(log_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except BaseException:
        os.close(fd)
        raise
    return fd


def is_current(lock: int, log_dir: Path) -> bool:
    """Tell whether a lock is still the one in LOG_DIR; `rm -r logs` makes it another's."""
    try:
        named = (log_dir / LOCK_NAME).stat()
    except OSError:
        return False
    mine = os.fstat(lock)
    return (named.st_ino, named.st_dev) == (mine.st_ino, mine.st_dev)


class Election(threading.Thread):
    """Win the lock whenever it is free, and keep a runner as a child process then."""

    def __init__(self, log_dir: Path, project: Path, may_win: Callable[[], bool]) -> None:
        super().__init__(name="runner-election", daemon=True)
        self._log_dir = log_dir
        self._project = project
        self._may_win = may_win
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._born = 0.0
        self._short_lives = 0
        self._trouble: str | None = None

    def run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            try:
                pause = self._look()
                self._trouble = None
            except Exception as error:  # noqa: BLE001 - without this thread no runner ever comes
                self._say_once(error)
                pause = 5 * INTERVAL

    def stop(self) -> None:
        """End the runner, if it is this process's child, and compete no more."""
        self._stopping.set()
        self.join(_STOP_TIMEOUT)
        child, self._child = self._child, None
        if child is None:
            return
        _close_pipe(child)
        try:
            child.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _look(self) -> float:
        """Return the seconds to wait before the next look."""
        if self._child is not None and self._child.poll() is None:
            return INTERVAL
        if self._child is not None:
            return self._bury(self._child)
        if self._may_win() and (lock := take_lock(self._log_dir)) is not None:
            try:
                self._child = self._start_runner(lock)
            finally:
                os.close(lock)
        return INTERVAL

    def _bury(self, child: "subprocess.Popen[bytes]") -> float:
        self._child = None
        _close_pipe(child)
        lived = time.monotonic() - self._born
        self._short_lives = self._short_lives + 1 if lived < _SHORT_LIFE else 0
        log.log(
            logging.WARNING if child.returncode else logging.INFO,
            "runner_ended",
            extra={"runner_pid": child.pid, "exit_code": child.returncode, "lived_s": round(lived)},
        )
        return min(2.0**self._short_lives, _MAX_PAUSE)

    def _start_runner(self, lock: int) -> "subprocess.Popen[bytes]":
        command = ["-m", "flask", "--app", "wsgi", "scheduler", "run", "--lock-fd", str(lock)]
        self._born = time.monotonic()
        return subprocess.Popen(  # noqa: S603 - our own command, without a shell
            [sys.executable, *command],
            cwd=self._project,
            # Metrics files go by slot, not by process: the runner has one of its own.
            env={**os.environ, "METRICS_SLOT": "runner"},
            stdin=subprocess.PIPE,
            pass_fds=(lock,),
        )

    def _say_once(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or type(error).__name__
        if reason != self._trouble:
            self._trouble = reason
            log.warning(
                "runner_not_started",
                extra={"reason": reason, "file": getattr(error, "filename", None)},
            )


def _close_pipe(child: "subprocess.Popen[bytes]") -> None:
    if child.stdin is not None:
        with contextlib.suppress(OSError):
            child.stdin.close()


def stand_for_election(app: Flask, may_win: Callable[[], bool] = lambda: True) -> None:
    """Let this serving process compete for the runner, once; nothing if SCHEDULER_ENABLED is off.

    While `may_win` says no, it does not start a runner: a process that is about to end, for one.
    """
    standing: Election | None = app.extensions.get(_EXTENSION)
    # After a fork the object is there and its thread is not.
    if not app.config["SCHEDULER_ENABLED"] or (standing is not None and standing.is_alive()):
        return
    election = Election(Path(app.config["LOG_DIR"]), Path(app.root_path).parent, may_win)
    app.extensions[_EXTENSION] = election
    election.start()


def stand_down(app: Flask) -> None:
    """End this process's candidacy and its runner; returns when the runner is gone."""
    election: Election | None = app.extensions.pop(_EXTENSION, None)
    if election is not None and election.is_alive():
        election.stop()
