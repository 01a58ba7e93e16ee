"""How the runner learns that it is time to end, and makes sure that it does."""

import os
import select
import signal
import socket
import threading
from collections.abc import Sequence

GRACE_SECONDS = 2.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopper:
    """Set `asked` when SIGTERM or SIGINT comes or the parent is gone.

    `grace` seconds later it ends the process, whatever still hangs: work that was cut off is
    done again by the next runner. Make it in the main thread; the process belongs to it.
    """

    def __init__(self, parent: int | None = None, grace: float = GRACE_SECONDS) -> None:
        self.asked = threading.Event()
        self._grace = grace
        # Python runs a handler only between two steps of the main thread, which may hang in a
        # library; the byte on this socket is written by the signal itself.
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        self._ends = [reader, writer]
        for number in _SIGNALS:
            signal.signal(number, _do_nothing)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        fds = [reader.fileno(), *([] if parent is None else [parent])]
        threading.Thread(target=self._watch, args=(fds,), name="stopper", daemon=True).start()

    def _watch(self, fds: Sequence[int]) -> None:
        # The parent writes nothing: its pipe becomes readable by ending.
        select.select(fds, [], [])
        self.asked.set()
        # Nobody sets this one: it is a sleep that leaves the thread a daemon's.
        threading.Event().wait(self._grace)
        os._exit(0)


def _do_nothing(_number: int, _frame: object) -> None:
    """Take the place of the default, which would end the process at once."""
