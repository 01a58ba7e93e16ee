"""What begins with the first request that a server hands on, and so never in a command or test."""

from collections.abc import Callable
from threading import Lock
from typing import Any

from flask import Flask, request, request_started


def at_first_request(app: Flask, start: Callable[[Flask], object]) -> None:
    """Call `start` with the app when a server hands a request on to it; once."""
    once = Lock()

    def begin(sender: Flask, **_: Any) -> None:
        # A server names itself in the request; a test client, which commands use as well, does not.
        # Two first requests may be at work at the same time.
        if "SERVER_SOFTWARE" in request.environ and once.acquire(blocking=False):
            # From every sender: else the signal goes on looking for it, in each request.
            request_started.disconnect(begin)
            start(sender)

    request_started.connect(begin, app, weak=False)
