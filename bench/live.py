"""The runner at work beside a busy site: how far behind it is, what it takes, whom it disturbs.

Everything runs as it does in production, each in a process of its own: one that logs 1,000 lines
a second, the runner, and one that writes into the application's SQLite database.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psutil

from app.extensions import db
from app.models.item import Item
from bench.record import serve_a_request
from bench.request import SECRET_KEY, application
from bench.rounds import Opponent, Process, Work
from bench.table import Row

LINES_PER_SECOND = 1_000
WRITES_PER_SECOND = 50


def run(*, quick: bool) -> list[Row]:
    """Watch the runner while lines come, and a web write with and without it at work."""
    seconds, rounds = (5, 2) if quick else (15, 5)
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as name:
        folder = Path(name)
        with (
            runner(folder) as process,
            Process(Opponent("web writes", web_writes), time.perf_counter, name) as web,
            Process(Opponent("log lines", log_lines), time.perf_counter, name) as log,
        ):
            return _watch(folder, web, log, process, seconds, rounds)


def _watch(
    folder: Path, web: Process, log: Process, process: psutil.Process, seconds: int, rounds: int
) -> list[Row]:
    lags: list[float] = []
    shares, busy, calm = [], [], []
    # Warm: caches filled, and the file of the log store there.
    for one, amount in ((log, LINES_PER_SECOND), (web, WRITES_PER_SECOND)):
        one.seconds(amount)
    for _ in range(rounds):
        calm.append(_p99_of_writes(folder, web, seconds))
        log.begin(LINES_PER_SECOND * seconds)
        used, began = sum(process.cpu_times()[:2]), time.perf_counter()
        web.begin(WRITES_PER_SECOND * seconds)
        lags += _lags(folder / "logs.db", seconds)
        shares.append((sum(process.cpu_times()[:2]) - used) / (time.perf_counter() - began))
        web.end()
        log.end()
        busy.append(_read_p99(folder))
    return _rows(lags, shares, busy, calm)


def _rows(
    lags: list[float], shares: list[float], busy: list[float], calm: list[float]
) -> list[Row]:
    lag, share = _p99(lags), median(shares)
    ratios = [one / other for one, other in zip(busy, calm, strict=True)]
    return [
        Row(f"lag at {LINES_PER_SECOND:,} lines/s, p99", f"{lag:.2f} s", bar="< 1 s", met=lag < 1),
        Row("the runner's share of a core meanwhile", f"{100 * share:.0f} %", "",
            f"({100 * min(shares):.0f}–{100 * max(shares):.0f} %)", "< 25 %", share < 0.25),  # noqa: RUF001
        Row("a web write on SQLite meanwhile, p99", f"{median(busy):.1f} ms",
            f"without: {median(calm):.1f} ms",
            f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})", "≤ 1.5",  # noqa: RUF001
            median(ratios) <= 1.5),
    ]  # fmt: skip


@contextmanager
def runner(folder: Path) -> Iterator[psutil.Process]:
    """Run `flask scheduler run` for the application that lives in `folder`."""
    environ = {
        **os.environ,
        "APP_ENV": "production", "SECRET_KEY": SECRET_KEY, "LOG_DIR": str(folder / "logs"),
        "DATABASE_URL": f"sqlite:///{folder / 'app.db'}",
        "UPLOAD_FOLDER": str(folder / "uploads"),
    }  # fmt: skip
    command = [sys.executable, "-m", "flask", "--app", "wsgi"]
    subprocess.run([*command, "db", "upgrade"], env=environ, check=True, capture_output=True)
    process = subprocess.Popen(
        [*command, "scheduler", "run"], env=environ,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not (folder / "logs" / "runner.json").exists():
            if process.poll() is not None:
                raise SystemExit("The runner ended.")
            time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def log_lines(folder: Path) -> Work:
    """Log evenly, in bunches of ten."""
    serve_a_request(folder / "logs")
    import logging

    from bench.record import FIELDS

    logger = logging.getLogger("app.items")

    def work(amount: int) -> None:
        for _ in _evenly(amount // 10, LINES_PER_SECOND / 10):
            for _ in range(10):
                logger.info("item_update", extra=FIELDS)

    return work


def web_writes(folder: Path) -> Work:
    """Change an item through the application's own operation; keep the p99 of how long it took."""
    from app.observability.operations import operation

    app = application(folder)

    def work(amount: int) -> None:
        took = []
        for number in _evenly(amount, WRITES_PER_SECOND):
            with app.app_context():
                began = time.perf_counter()
                with operation("item_update", target_type="item", target_id=1):
                    db.session.get_one(Item, 1).quantity = number
                took.append(time.perf_counter() - began)
        (folder / "p99").write_text(str(1000 * _p99(took)))

    return work


def _evenly(amount: int, per_second: float) -> Iterator[int]:
    began = time.perf_counter()
    for number in range(amount):
        time.sleep(max(began + number / per_second - time.perf_counter(), 0))
        yield number


def _lags(path: Path, seconds: int) -> list[float]:
    """Return, for each record stored in this time, how long after it was made it was there."""
    from app.observability.ids import id_time

    lags = []
    with sqlite3.connect(path) as connection:
        last = connection.execute("SELECT max(rowid) FROM logs").fetchone()[0] or 0
        stop = time.perf_counter() + seconds
        while time.perf_counter() < stop:
            found = connection.execute(
                "SELECT rowid, id FROM logs WHERE rowid > ? ORDER BY rowid", (last,)
            ).fetchall()
            now = time.time()
            lags += [now - id_time(record_id).timestamp() for _, record_id in found]
            last = found[-1][0] if found else last
            time.sleep(0.02)
    return lags


def _p99_of_writes(folder: Path, web: Process, seconds: int) -> float:
    web.seconds(WRITES_PER_SECOND * seconds)
    return _read_p99(folder)


def _read_p99(folder: Path) -> float:
    return float((folder / "p99").read_text())


def _p99(values: list[float]) -> float:
    return sorted(values)[int(0.99 * (len(values) - 1))]
