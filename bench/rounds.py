"""Let opponents work in turns, each in a process of its own, and see what each round took.

Turns (A B C, A B C, …) because a machine is faster in one minute than in another: what is compared
was measured within the same second. A process of its own because loggers, metrics and engines
leave traces in the one that they are set up in.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

Work = Callable[[int], Any]
_spawning = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Opponent:
    """`prepare` is called once, with a folder of its own, and returns what does n pieces of work.

    It is a function of a module, so that another process can import it.
    """

    name: str
    prepare: Callable[[Path], Work]


class Process:
    """One opponent at work in its process."""

    def __init__(self, opponent: Opponent, clock: Callable[[], float], folder: str) -> None:
        self._name = opponent.name
        self._pipe, theirs = _spawning.Pipe()
        self._process = _spawning.Process(
            target=_serve, args=(opponent.prepare, clock, Path(folder), theirs), daemon=False
        )
        self._process.start()
        theirs.close()

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join()

    @property
    def pid(self) -> int:
        return int(self._process.pid or 0)

    def seconds(self, amount: int) -> float:
        """Return how long `amount` pieces of work take."""
        self.begin(amount)
        return self.end()

    def begin(self, amount: int) -> None:
        """Let it work while others do."""
        try:
            self._pipe.send(amount)
        except OSError:
            self._fail()

    def end(self) -> float:
        """Wait for what was begun and return how long it took."""
        try:
            return float(self._pipe.recv())
        except (EOFError, OSError):
            self._fail()

    def _fail(self) -> NoReturn:
        raise SystemExit(f"{self._name} failed, see above.") from None


def _serve(
    prepare: Callable[[Path], Work], clock: Callable[[], float], folder: Path, pipe: Any
) -> None:
    work = prepare(folder)
    while True:
        try:
            amount = pipe.recv()
        except EOFError:
            return
        began = clock()
        work(amount)
        pipe.send(clock() - began)


def in_turns(
    opponents: Sequence[Opponent],
    amount: int,
    rounds: int,
    clock: Callable[[], float] = time.process_time,
) -> list[list[float]]:
    """Return, for each opponent, the seconds per piece of work in each round.

    The clock is the processor's by default: what others do on the machine does not count.
    """
    took: list[list[float]] = [[] for _ in opponents]
    with ExitStack() as stack:
        processes = []
        for opponent in opponents:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="glasshouse-bench-"))
            processes.append(stack.enter_context(Process(opponent, clock, folder)))
        for process in processes:
            process.seconds(amount)  # Warm: caches filled, files and tables there.
        for _ in range(rounds):
            for process, found in zip(processes, took, strict=True):
                found.append(process.seconds(amount) / amount)
    return took
