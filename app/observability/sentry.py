"""Errors to Sentry; off without SENTRY_DSN, and then nothing of it is loaded."""

import sys

from flask import Flask


def init_app(app: Flask) -> None:
    """Send this process's errors to SENTRY_DSN, or to nowhere if it is empty.

    The SDK serves one application per process: a later call replaces what an earlier one set.
    Raises ConfigError if the address is not one.
    """
    # The SDK takes memory, which nobody needs who has no address; once there, it is turned off.
    if app.config["SENTRY_DSN"] or "app.observability.sentry_events" in sys.modules:
        from app.observability import sentry_events

        sentry_events.init_app(app)
