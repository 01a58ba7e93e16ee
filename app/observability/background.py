"""Ask something that may hang, and do not hang with it."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

# What has not come back after so many seconds hangs, perhaps alone of its kind: a connection that
# was cut without a word. A new call may get through; some more threads are all it may cost.
_GIVEN_UP_AFTER = 30.0
_MOST_GIVEN_UP = 5


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
    """Start calls by name, each name once at a time: what hangs costs few threads, not many."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, Call[object]] = {}
        self._given_up: list[Call[object]] = []

    def start(self, name: str, work: Callable[[], T]) -> Call[T]:
        """Start `work`, or return the call of that name that has not come back yet."""
        with self._lock:
            call = self._running.get(name)
            if call is None or call.finished.is_set() or self._gives_up(call):
                call = self._running[name] = Call[object](work)
            return call  # type: ignore[return-value]

    def _gives_up(self, call: Call[object]) -> bool:
        self._given_up = [one for one in self._given_up if not one.finished.is_set()]
        young = time.monotonic() - call.started < _GIVEN_UP_AFTER
        if young or len(self._given_up) >= _MOST_GIVEN_UP:
            return False
        self._given_up.append(call)
        return True
