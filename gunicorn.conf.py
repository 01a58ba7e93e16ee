"""How gunicorn serves this application: `gunicorn` in this folder is enough."""

import fcntl
import gc
import itertools
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from dotenv import load_dotenv
from flask import Flask
from gunicorn.glogging import Logger
from prometheus_client import multiprocess, values

from config import ConfigError, load_settings

load_dotenv(Path(__file__).with_name(".env"))
try:
    settings = load_settings(os.environ)
except ConfigError as error:
    sys.exit(str(error))

_SHM = Path("/dev/shm")  # noqa: S108 - folders in it are made with names of their own
# A full disk would kill workers that write metrics through a mapped file, and a slow one would
# delay a worker's sign of life.
_MEMORY = _SHM if os.access(_SHM, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
_METRICS = "glasshouse-metrics-"
_STALE_SECONDS = 60
_QUICK = (signal.SIGINT, signal.SIGQUIT)
_MASTER = os.getpid()

wsgi_app = "wsgi:app"
# This machine only; a container says `--bind 0.0.0.0:8000`.
bind = f"127.0.0.1:{settings['PORT']}"
workers = settings["WEB_CONCURRENCY"]
worker_class = "gthread"
threads = 4
worker_tmp_dir = str(_MEMORY)
graceful_timeout = 8
loglevel = settings["LOG_LEVEL"].lower()
# It opens in the user's home by default, which a container may not write to.
control_socket_disable = True


class ApplicationLogger(Logger):  # type: ignore[misc]
    """Write gunicorn's own records, the master's too, where the application's go.

    It outlives a reload (SIGHUP), which reads this file anew, so it also keeps the folder and
    the slot of the metrics.
    """

    slot = "0"  # Of the worker forked last, so in a worker its own.
    metrics_folder: Path | None = None

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        if self.metrics_folder is None:
            self.metrics_folder = _make_metrics_folder()
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self.metrics_folder)
            # By slot and not by process id, so that restarts leave no files to add up.
            values.ValueClass = values.MultiProcessValue(self._own_slot)
        # Only now: metrics take their kind of value when the application is imported.
        from app.observability.logging_setup import setup_logging

        shell = Flask("gunicorn")
        shell.config.update(settings)
        setup_logging(shell)

    def _own_slot(self) -> str:
        # By process, because a worker writes its first record before post_fork is called.
        return "master" if os.getpid() == _MASTER else self.slot


logger_class = ApplicationLogger


def pre_fork(server: Any, worker: Any) -> None:
    """Give the worker the lowest slot that no living worker has."""
    taken = {other.slot for other in server.WORKERS.values()}
    worker.slot = next(n for n in itertools.count(1) if n not in taken)
    server.log.slot = str(worker.slot)


def post_worker_init(worker: Any) -> None:
    """Let the worker compete for the runner until it is told to stop, and tell how it is."""
    from app.observability import sampler
    from app.scheduler import stand_for_election

    stand_for_election(worker.wsgi, lambda: worker.alive)
    sampler.start(worker.wsgi, "worker")
    # Their own handler waits for a lock that the very thread it interrupts may hold, while it hands
    # a request over: then nothing but SIGKILL would end the worker.
    for number in _QUICK:
        signal.signal(number, lambda *_: _leave(worker))


def _leave(worker: Any) -> None:
    # Ctrl-C tells the worker, and its master does so again: that may not disturb what it does last.
    for number in _QUICK:
        signal.signal(number, signal.SIG_IGN)
    worker.alive = False
    worker.cfg.worker_int(worker)
    sys.exit(0)


def worker_exit(server: Any, worker: Any) -> None:
    from app.observability import sampler
    from app.scheduler import stand_down

    # The master calls this too, for a worker that was gone before its signal.
    if os.getpid() == worker.pid and hasattr(worker, "wsgi"):
        sampler.stop(worker.wsgi)
        stand_down(worker.wsgi)


def child_exit(server: Any, worker: Any) -> None:
    multiprocess.mark_process_dead(worker.slot)


def on_exit(server: Any) -> None:
    shutil.rmtree(server.log.metrics_folder, ignore_errors=True)
    gc.freeze()  # As wsgi.py does for the workers.


def _make_metrics_folder() -> Path:
    _sweep(_MEMORY)
    folder = Path(tempfile.mkdtemp(prefix=_METRICS, dir=_MEMORY))
    # Held open, by the workers too, for as long as anybody writes there.
    fcntl.flock(os.open(folder, os.O_RDONLY | os.O_CLOEXEC), fcntl.LOCK_SH)
    return folder


def _sweep(base: Path) -> None:
    """Remove folders whose server was killed before it could."""
    for folder in base.glob(f"{_METRICS}*"):
        try:
            if time.time() - folder.stat().st_mtime < _STALE_SECONDS:
                continue
            fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue
        finally:
            os.close(fd)
