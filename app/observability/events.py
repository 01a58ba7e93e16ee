"""Events: records with an action, the product's own data."""

import contextlib
import logging
from typing import Any

from flask import Flask, got_request_exception, request

from app.observability.exceptions import place, type_name
from app.observability.log_context import RESERVED, log_whatever_the_level, safe_extra

_events = logging.getLogger("app.events")


def init_app(app: Flask) -> None:
    """Write one `error` record for each unhandled exception, instead of Flask's own line."""
    got_request_exception.connect(_record_request_error, app)
    # The signal came first, also in debug mode.
    app.log_exception = lambda exc_info: None  # type: ignore[method-assign]  # noqa: ARG005


def record_event(
    action: str, message: str, *, level: int = logging.INFO, exc_info: Any = None, **fields: Any
) -> None:
    """Write an event; it reaches the file and the store whatever LOG_LEVEL says. Never raises.

    `fields` of the record contract keep their names, all others go into `details`.
    """
    fields["action"] = action
    # What hardly ever holds a reserved name needs no copy.
    extra = fields if RESERVED.isdisjoint(fields) else safe_extra(fields)
    # The logger's own way asks for its level, and walks the stack for a line that no record tells.
    log_whatever_the_level(_events, level, message, exc_info=exc_info, extra=extra)


def record_error(exc: BaseException, **fields: Any) -> None:
    """Write the one `error` record of a failure; a second call for the same exception does nothing.

    Pass where it happened: `route`, or `details` with `job` or `operation`.
    """
    if getattr(exc, "_error_recorded", False):
        return
    # A type with slots, or rules of its own, cannot be marked; at worst it is recorded twice.
    with contextlib.suppress(Exception):
        exc._error_recorded = True  # type: ignore[attr-defined]
    where = place(exc)
    details = {**({"place": where} if where else {}), **fields.pop("details", {})}
    record_event(
        "error", type_name(exc), level=logging.ERROR, exc_info=exc, details=details, **fields
    )


def _record_request_error(_app: Flask, exception: BaseException, **_: Any) -> None:
    record_error(
        exception,
        method=request.method,
        path=request.path,
        route=request.url_rule.rule if request.url_rule else None,
        remote_addr=request.remote_addr,
    )
