"""Four processes write into one log over dozens of rotations, and no line is lost."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

from app.observability.log_spool import rotated
from tests.helpers import ROOT, wait_for

WRITERS, LINES, MAX_BYTES = 4, 1500, 8192

WRITER = """
import json, os, sys
from pathlib import Path
from app.observability.log_file import AppendOnlyFile

kind, path, writer, count, size, limit = sys.argv[1:]

class NoAppend(AppendOnlyFile):
    "Opens at the end, and then believes its own position."
    def _open(self):
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
        os.lseek(fd, 0, os.SEEK_END)
        return fd

kinds = {"ours": AppendOnlyFile, "no_append": NoAppend}
Path(path).parent.mkdir(parents=True, exist_ok=True)
file = kinds[kind](Path(path), int(limit))
sys.stdin.readline()
for number in range(int(count)):
    line = json.dumps({"writer": int(writer), "number": number, "pad": "x" * int(size)})
    file.write(line.encode() + b"\\n")
"""


def start(
    kind: str, path: Path, writer: int, count: int = LINES, size: int = 120, limit: int = MAX_BYTES
) -> "subprocess.Popen[bytes]":
    arguments = [kind, str(path), str(writer), str(count), str(size), str(limit)]
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, *arguments],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip


def go(*processes: "subprocess.Popen[bytes]") -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()


def segments_of(path: Path) -> list[Path]:
    return [one for one in path.parent.iterdir() if one.name.startswith(path.name)]


def read(path: Path) -> tuple[Counter[tuple[int, int]], int]:
    """Return how often each line is there, and how many lines cannot be read."""
    found: Counter[tuple[int, int]] = Counter()
    broken = 0
    for segment in segments_of(path):
        for line in segment.read_bytes().splitlines():
            try:
                record = json.loads(line)
                found[record["writer"], record["number"]] += 1
            except (ValueError, KeyError, TypeError):
                broken += 1
    return found, broken


EXPECTED = Counter((writer, number) for writer in range(WRITERS) for number in range(LINES))


def write_all(kind: str, path: Path) -> None:
    writers = [start(kind, path, writer) for writer in range(WRITERS)]
    go(*writers)
    for writer in writers:
        writer.wait(timeout=120)


def test_no_line_is_lost_torn_or_doubled_over_fifty_rotations(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "app.log"
    write_all("ours", path)
    assert len(rotated(path)) >= 50
    assert read(path) == (EXPECTED, 0)


def test_a_file_that_loses_lines_is_caught_by_the_test_above(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "app.log"
    write_all("no_append", path)
    assert read(path) != (EXPECTED, 0)


def collect(path: Path, into: Counter[tuple[int, int]]) -> int:
    """Take the lines of every sealed segment and delete it, as a reader does."""
    taken = 0
    for segment in rotated(path):
        with segment.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            records = [json.loads(line) for line in file]
        into.update((one["writer"], one["number"]) for one in records)
        segment.unlink()
        taken += 1
    return taken


def test_a_writer_that_is_stopped_across_rotations_loses_nothing(tmp_path: Path) -> None:
    """Not even when a reader deletes each segment that nobody holds any more."""
    path = tmp_path / "logs" / "app.log"
    collected: Counter[tuple[int, int]] = Counter()
    writers = [start("ours", path, writer, count=LINES * 2) for writer in range(WRITERS)]
    go(*writers)
    try:
        for _ in range(3):
            sleeper, others, done = writers[0], writers[1:], 0
            os.kill(sleeper.pid, signal.SIGSTOP)
            while done < 5 and any(one.poll() is None for one in others):
                done += collect(path, collected)
            os.kill(sleeper.pid, signal.SIGCONT)
        for writer in writers:
            assert writer.wait(timeout=120) == 0
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    found, broken = read(path)
    assert broken == 0
    assert sum(collected.values()) > 0
    assert found + collected == Counter((w, n) for w in range(WRITERS) for n in range(LINES * 2))


def test_kills_in_mid_write_cost_the_others_no_line(tmp_path: Path) -> None:
    """Killed writers leave fragments; what is glued behind one can still be taken up again."""
    path = tmp_path / "logs" / "app.log"
    survivor = start("ours", path, 0, limit=1_000_000)
    victims = [
        start("ours", path, 1 + n, count=100_000, size=60_000, limit=1_000_000) for n in range(8)
    ]
    timers = [threading.Timer(0.1 + n / 10, victim.kill) for n, victim in enumerate(victims)]
    go(survivor, *victims)
    for timer in timers:
        timer.start()
    try:
        assert survivor.wait(timeout=120) == 0
    finally:
        for timer, victim in zip(timers, victims, strict=True):
            timer.cancel()
            victim.kill()
            victim.wait()
    found = 0
    for segment in segments_of(path):
        for line in segment.read_bytes().splitlines():
            whole = line[line.rfind(b'{"writer": ') :]
            found += json.loads(whole)["writer"] == 0 if whole.endswith(b"}") else 0
    assert found == LINES


def test_a_rotation_is_complete_whenever_its_process_is_killed(tmp_path: Path) -> None:
    """kill -9 at random moments of constant rotation: the next writer goes on."""
    path = tmp_path / "logs" / "app.log"
    for attempt in range(6):
        writer = start("ours", path, attempt, count=100_000, size=500, limit=600)
        go(writer)
        wait_for(lambda number=attempt: len(rotated(path)) > number * 20, 30)
        writer.kill()
        writer.wait()
    last = start("ours", path, 99, count=50, size=500, limit=600)
    go(last)
    assert last.wait(timeout=30) == 0
    found, _broken = read(path)
    assert sum(count for (writer, _), count in found.items() if writer == 99) == 50
    assert max(found.values()) == 1
    numbers = {writer: 0 for writer, _ in found}
    for writer, number in found:
        numbers[writer] = max(numbers[writer], number)
    for writer, highest in numbers.items():
        assert all((writer, number) in found for number in range(highest))
