"""Four processes write and rotate, one of them stands still meanwhile, a shipper follows."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from app.logstore.shipper import Shipper
from app.logstore.sql_store import SqlStore
from app.observability.log_spool import rotated, segment_number
from tests.helpers import ROOT, read_lines, wait_for
from tests.logstore.stores import open_engine, stored

WRITERS, LINES, SEGMENT_BYTES = 4, 6_000, 64 * 1024
ROTATIONS = 50


def start_writer(path: Path, name: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, ROOT / "tests/chaos/log_writer.py", path, name]
    arguments = [str(LINES), str(SEGMENT_BYTES)]
    return subprocess.Popen([*command, *arguments], env={**os.environ, "PYTHONPATH": str(ROOT)})


def rotations(path: Path) -> int:
    found = rotated(path)
    return segment_number(found[-1]) if found else 0


def ship_all(shipper: Shipper) -> None:
    while shipper.ship_once():
        continue


def test_no_line_is_lost_or_doubled_while_four_processes_rotate_and_one_stands_still(
    tmp_path: Path, database_url: str
) -> None:
    path = tmp_path / "logs" / "app.log"
    path.parent.mkdir()
    engine = open_engine(database_url)
    # All segments stay, so that the files can be read in the end; deleting has its own test.
    shipper = Shipper(SqlStore(engine), path.parent, backup_count=10_000)
    writers = [start_writer(path, f"writer{index}") for index in range(WRITERS)]
    stopped = writers[0]
    try:
        wait_for(lambda: rotations(path) >= 5, 60)
        for _ in range(3):
            stopped.send_signal(signal.SIGSTOP)
            before = rotations(path)
            wait_for(
                lambda before=before: (
                    shipper.ship_once() >= 0 and rotations(path) >= before + 4
                ) or all(one.poll() is not None for one in writers[1:]),
                60,
            )  # fmt: skip
            stopped.send_signal(signal.SIGCONT)
            time.sleep(0.01)  # It shall write a little before it stands still again.
        while any(one.poll() is None for one in writers):
            shipper.ship_once()
        assert [one.wait() for one in writers] == [0] * WRITERS
    finally:
        for one in writers:
            one.kill()
            one.wait()
    ship_all(shipper)
    assert rotations(path) >= ROTATIONS
    wanted = Counter(f"writer{i}-{number}" for i in range(WRITERS) for number in range(LINES))
    files = [*rotated(path), path]
    assert Counter(one["message"] for file in files for one in read_lines(file)) == wanted
    assert Counter(stored(engine)) == wanted
    assert shipper.unshipped_bytes == 0
    assert shipper.shipped_through == rotations(path)


def test_segments_that_are_deleted_once_shipped_take_no_line_with_them(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "app.log"
    path.parent.mkdir()
    engine = open_engine(f"sqlite:///{tmp_path / 'logs.db'}")
    shipper = Shipper(SqlStore(engine), path.parent, backup_count=0)
    writers = [start_writer(path, f"writer{index}") for index in range(WRITERS)]
    try:
        turn = 0
        while any(one.poll() is None for one in writers):
            one = writers[turn % WRITERS]
            # Wherever it is, between its check and its write as well, it stands still for a while.
            one.send_signal(signal.SIGSTOP)
            before = rotations(path)
            end = time.monotonic() + 0.3
            while rotations(path) < before + 2 and time.monotonic() < end:
                shipper.ship_once()
            one.send_signal(signal.SIGCONT)
            turn += 1
    finally:
        for one in writers:
            one.kill()
            one.wait()
    ship_all(shipper)
    wanted = Counter(f"writer{i}-{number}" for i in range(WRITERS) for number in range(LINES))
    assert Counter(stored(engine)) == wanted
    assert rotated(path) == []
    assert shipper.dropped == 0
