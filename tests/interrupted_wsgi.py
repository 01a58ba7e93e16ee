"""The application in a worker that is told to end while it hands a request to a thread."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from wsgi import app

__all__ = ["app"]

_adjust: Any = ThreadPoolExecutor._adjust_thread_count  # type: ignore[attr-defined]


def _interrupted(pool: ThreadPoolExecutor) -> None:
    _adjust(pool)
    mark = Path(os.environ["LOG_DIR"]) / "interrupt"
    if mark.exists():
        # The next worker lives on.
        mark.unlink()
        os.kill(os.getpid(), signal.SIGQUIT)


ThreadPoolExecutor._adjust_thread_count = _interrupted  # type: ignore[attr-defined]
