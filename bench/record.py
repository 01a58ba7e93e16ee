"""What one record costs the one who logs it: a request's context, six fields, to the file.

Everybody writes the same content through a rotating file. Only ours also masks secrets, gives the
record an identity that sorts by time, and keeps the line safe from other processes.
"""

import logging
from collections.abc import Callable
from contextvars import ContextVar
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from bench.rounds import Opponent, Work, in_turns
from bench.table import Row, compared

MAX_BYTES, BACKUPS = 10_485_760, 10
FIELDS: dict[str, Any] = {
    "action": "item_update", "target_type": "item", "target_id": 4711, "outcome": "success",
    "duration_ms": 3.25, "item_name": "Office chair, blue",
}  # fmt: skip
CONTEXT: dict[str, Any] = {
    "request_id": "01a21340-9793-72ec-8120-86a378abf389", "route": "/items/<int:item_id>",
    "user_id": "7", "account": "someone@example.com",
}  # fmt: skip
COOKIE = "session=.eJwlzjEOwzAIAMC_MHcAG2PIZyKDQe2aNFPVvzdS99vuA3sdeT5he8AbcXitYlYtbeFsd"
TEXT = (
    "%(asctime)s %(levelname)s %(name)s %(process)d [%(request_id)s] %(message)s user=%(user_id)s"
    " account=%(account)s route=%(route)s action=%(action)s target=%(target_type)s/%(target_id)s"
    " outcome=%(outcome)s duration_ms=%(duration_ms)s item_name=%(item_name)r"
)


def run(*, quick: bool) -> list[Row]:
    """Compare the cost of one record, in processor time."""
    opponents = (
        Opponent("glasshouse", ours),
        Opponent("glasshouse, record_event()", ours_as_event),
        Opponent("stdlib text", stdlib_text),
        Opponent("python-json-logger", json_logger),
        Opponent("structlog", structlog_json),
        Opponent("loguru", loguru_json),
    )
    amount, rounds = (1_000, 7) if quick else (3_000, 31)
    took = in_turns(opponents, amount, rounds)
    us = [[1e6 * one for one in found] for found in took]
    what = "one record, one process"
    return [
        compared(what, us[0], "stdlib RotatingFileHandler, text", us[2], unit="µs", at_most=1.0),
        compared(f"{what}, by record_event()", us[1], "the same", us[2], unit="µs", at_most=1.0),
        *(
            compared(what, us[0], opponent.name, found, unit="µs")
            for opponent, found in list(zip(opponents, us, strict=True))[3:]
        ),
    ]


def ours(folder: Path) -> Work:
    """Log through this project's handler, in a request with a session cookie."""
    serve_a_request(folder)
    logger = logging.getLogger("app.items")

    def work(amount: int) -> None:
        for _ in range(amount):
            logger.info("item_update", extra=FIELDS)

    return work


def ours_as_event(folder: Path) -> Work:
    """Log as the application's own code does."""
    from app.observability.events import record_event

    serve_a_request(folder)
    fields = {name: value for name, value in FIELDS.items() if name != "action"}

    def work(amount: int) -> None:
        for _ in range(amount):
            record_event("item_update", "item_update", **fields)

    return work


def serve_a_request(folder: Path, max_bytes: int = MAX_BYTES, backup_count: int = BACKUPS) -> None:
    """Set up this project's logging as the application does, in the middle of a request."""
    from flask import Flask, request

    from app.observability import log_context
    from app.observability.log_formatters import JSONFormatter
    from app.observability.log_handlers import LogFilesHandler
    from app.observability.log_redaction import add_secret, use_request_secrets
    from app.observability.logging_setup import find_out_less
    from app.observability.request_secrets import RequestSecrets

    logging.raiseExceptions = False
    find_out_less()
    handler = LogFilesHandler(
        folder, JSONFormatter("1.0"), max_bytes=max_bytes, backup_count=backup_count
    )
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger().addHandler(handler)
    for name in ("the-secret-key", "the-smtp-password", "the-metrics-token"):
        add_secret(name * 3)
    Flask("bench").test_request_context("/items/4711", headers={"Cookie": COOKIE}).push()
    use_request_secrets(RequestSecrets(request._get_current_object()))  # type: ignore[attr-defined]
    log_context.bind(**CONTEXT)


def stdlib_text(folder: Path) -> Work:
    """Log as the standard library's documentation shows."""
    return _stdlib(folder, logging.Formatter(TEXT))


def json_logger(folder: Path) -> Work:
    """Log with python-json-logger, with its fastest encoder."""
    from pythonjsonlogger.orjson import OrjsonFormatter

    return _stdlib(folder, OrjsonFormatter("%(asctime)s %(levelname)s %(name)s %(process)d"))


def _stdlib(folder: Path, formatter: logging.Formatter) -> Work:
    handler = RotatingFileHandler(folder / "app.log", maxBytes=MAX_BYTES, backupCount=BACKUPS)
    handler.setFormatter(formatter)
    handler.addFilter(stamp(CONTEXT))
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger().addHandler(handler)
    logger = logging.getLogger("app.items")

    def work(amount: int) -> None:
        for _ in range(amount):
            logger.info("item_update", extra=FIELDS)

    return work


def stamp(context: dict[str, Any]) -> Callable[[logging.LogRecord], bool]:
    """Return the filter that everybody writes who wants a request's context on each record."""
    bound: ContextVar[dict[str, Any]] = ContextVar("context")
    bound.set(context)

    def add(record: logging.LogRecord) -> bool:
        for key, value in bound.get().items():
            setattr(record, key, value)
        return True

    return add


def structlog_json(folder: Path) -> Work:
    """Log with structlog as its page on performance says; its file does not rotate."""
    import orjson
    import structlog

    file = (folder / "app.log").open("wb")
    structlog.configure(
        cache_logger_on_first_use=True,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        logger_factory=structlog.BytesLoggerFactory(file=file),
    )
    structlog.contextvars.bind_contextvars(**CONTEXT)
    logger = structlog.get_logger().bind(logger="app.items")

    def work(amount: int) -> None:
        for _ in range(amount):
            logger.info("item_update", **FIELDS)

    return work


def loguru_json(folder: Path) -> Work:
    """Log with loguru, serialised."""
    from loguru import logger

    logger.remove()
    logger.add(folder / "app.log", serialize=True, rotation=MAX_BYTES, retention=BACKUPS)
    logger.configure(extra=CONTEXT)

    def work(amount: int) -> None:
        for _ in range(amount):
            logger.bind(**FIELDS).info("item_update")

    return work
