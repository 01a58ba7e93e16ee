import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from app.scheduler.stopping import GRACE_SECONDS
from tests.helpers import ROOT

# It says "ready", waits to be asked, then hangs as a library may, in a call that no signal ends.
PROGRAM = """
import sys, time
from app.scheduler.stopping import Stopper
stopper = Stopper(parent=sys.stdin.fileno(), grace=float(sys.argv[1]))
print("ready", flush=True)
if sys.argv[2] == "hang":
    while True:
        time.sleep(60)
stopper.asked.wait()
print("asked", flush=True)
"""


class Program:
    def __init__(self, grace: float, mode: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(grace), mode],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    running: list[Program] = []
    yield running
    for one in running:
        one.process.kill()
        one.process.communicate()


def end_of_parent(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.stdin = None


WAYS = {
    "SIGTERM": lambda process: process.send_signal(signal.SIGTERM),
    "SIGINT": lambda process: process.send_signal(signal.SIGINT),
    "the parent is gone": end_of_parent,
}


@pytest.mark.parametrize("way", WAYS)
def test_it_lets_the_work_end_by_itself(programs: list[Program], way: str) -> None:
    program = Program(30, "work")
    programs.append(program)
    WAYS[way](program.process)
    output, _ = program.process.communicate(timeout=10)
    assert output == "asked\n"
    assert program.process.returncode == 0


@pytest.mark.parametrize("way", WAYS)
def test_work_that_hangs_is_cut_off_after_the_grace(programs: list[Program], way: str) -> None:
    program = Program(0.3, "hang")
    programs.append(program)
    WAYS[way](program.process)
    assert program.process.wait(timeout=10) == 0


def test_nothing_is_asked_while_the_parent_lives(programs: list[Program]) -> None:
    program = Program(0.1, "work")
    programs.append(program)
    with pytest.raises(subprocess.TimeoutExpired):
        program.process.wait(timeout=0.5)


def test_the_grace_is_two_seconds_at_most() -> None:
    assert GRACE_SECONDS <= 2
