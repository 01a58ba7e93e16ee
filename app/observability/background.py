"""Ask something that may hang, and do not hang with it."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Call(Generic[T]):
    """One call on its way, in a daemon thread: one that hangs never blocks the process's exit."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self.result: T | None = None
        self.error: Exception | None = None
        self.duration_ms = 0.0
        self.started = time.monotonic()
        self.finished = threading.Event()
        threading.Thread(target=self._run, name="background-call", daemon=True).start()

    def _run(self) -> None:
        try:
            self.result = self._work()
        except Exception as error:  # noqa: BLE001 - whoever waits for the call decides
            self.error = error
        self.duration_ms = round((time.monotonic() - self.started) * 1000, 1)
        self.finished.set()

    def wait(self, time_limit: float) -> bool:
        """Wait until the call is `time_limit` seconds old; tell whether it has finished.

        Counted from its start, so who asks again while it hangs does not wait again.
        """
        return self.finished.wait(max(self.started + time_limit - time.monotonic(), 0))


class Calls:
    """Start calls by name, each name once at a time: what hangs costs one thread, not many."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, Call[object]] = {}

    def start(self, name: str, work: Callable[[], T]) -> Call[T]:
        """Start `work`, or return the call of that name that has not come back yet."""
        with self._lock:
            call = self._running.get(name)
            if call is None or call.finished.is_set():
                call = self._running[name] = Call[object](work)
            return call  # type: ignore[return-value]
