"""Memory: of a worker that answers and answers, and of a runner that finds a long backlog."""

import tempfile
import time
from pathlib import Path

import psutil

from app.scheduler.status import read_status
from bench import corpus, live
from bench.request import whole_application
from bench.rounds import Opponent, Process
from bench.table import Row

MIB = 1_048_576
# What Python's allocator may take or give back between two looks.
NOTHING = 1 * MIB


def run(*, quick: bool) -> list[Row]:
    """Look at the resident memory of both, again and again."""
    return [_worker(20_000 if quick else 200_000), _runner(100_000 if quick else 1_000_000)]


def _worker(requests: int) -> Row:
    looks = []
    with (
        tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as folder,
        Process(Opponent("worker", whole_application), time.process_time, folder) as worker,
    ):
        for _ in range(20):
            worker.seconds(requests // 20)
            looks.append(psutil.Process(worker.pid).memory_info().rss)
    # Caches fill in the first twentieth.
    grown = looks[-1] - looks[0]
    return Row(
        f"a web worker after {requests:,} requests", f"{looks[-1] / MIB:.1f} MiB",
        f"after {requests // 20:,}: {looks[0] / MIB:.1f} MiB", f"{grown / MIB:+.1f} MiB",
        "does not grow", grown <= NOTHING,
    )  # fmt: skip


def _runner(lines: int) -> Row:
    highest = 0
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as name:
        folder = Path(name)
        corpus.fill_folder(folder / "logs", lines)
        with live.runner(folder) as process:
            while not _is_done(folder / "logs"):
                highest = max(highest, process.memory_info().rss)
                time.sleep(0.1)
            highest = max(highest, _highest(process))
    return Row(
        f"the runner with a backlog of {lines:,} lines, at most", f"{highest / MIB:.1f} MiB",
        bar="< 100 MiB", met=highest < 100 * MIB,
    )  # fmt: skip


def _highest(process: psutil.Process) -> int:
    """Return the highest resident memory there has been, where the system knows it."""
    try:
        text = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if "VmHWM" in line)


def _is_done(log_dir: Path) -> bool:
    status = read_status(log_dir)
    return status is not None and status.shipped_through > 0 and status.unshipped_bytes < 100_000
