"""The opponent: what a good tutorial on logging in Flask adds up to, written as fairly as we can.

Three handlers, a line when a request begins and one when it ends, a request ID, a timer on
every statement, the exporter's metrics as they come. No redaction, no structure, no store, and
lines are lost as soon as two processes rotate.
"""

import logging
import time
import uuid
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, has_request_context, request
from prometheus_flask_exporter import PrometheusMetrics
from sqlalchemy import Engine, event

SLOW_SECONDS = 1.0
log = logging.getLogger("recipe")


def init_app(app: Flask, folder: Path) -> None:
    _add_handlers(folder)
    app.before_request(_begin)
    app.after_request(_end)
    event.listen(Engine, "before_cursor_execute", _before_statement)
    event.listen(Engine, "after_cursor_execute", _after_statement)
    PrometheusMetrics(app)


def _add_handlers(folder: Path) -> None:
    everything = RotatingFileHandler(folder / "app.log", maxBytes=10_485_760, backupCount=10)
    errors = RotatingFileHandler(folder / "error.log", maxBytes=10_485_760, backupCount=10)
    errors.setLevel(logging.ERROR)
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    text = "%(asctime)s %(levelname)s [%(request_id)s] [user %(user_id)s] %(name)s: %(message)s"
    for handler in (logging.StreamHandler(), everything, errors):
        handler.setFormatter(logging.Formatter(text))
        handler.addFilter(_stamp)
        root.addHandler(handler)


def _stamp(record: logging.LogRecord) -> bool:
    in_request = has_request_context()
    record.request_id = g.get("request_id", "-") if in_request else "-"
    record.user_id = g.get("user_id", "-") if in_request else "-"
    return True


def _begin() -> None:
    g.request_id = request.headers.get("X-Request-ID") or str(uuid.uuid4())
    g.started = time.time()
    log.info("Request started: %s %s from %s", request.method, request.path, request.remote_addr)


def _end(response: Response) -> Response:
    duration = (time.time() - g.started) * 1000
    log.info(
        "Request finished: %s %s %s in %.2f ms (%s)",
        request.method, request.path, response.status_code, duration, request.user_agent.string,
    )  # fmt: skip
    response.headers["X-Request-ID"] = g.request_id
    return response


def _before_statement(
    conn: Any, _cursor: Any, _sql: str, _params: Any, _context: Any, _many: bool
) -> None:
    conn.info.setdefault("query_start_time", []).append(time.time())


def _after_statement(
    conn: Any, _cursor: Any, sql: str, _params: Any, _context: Any, _many: bool
) -> None:
    total = time.time() - conn.info["query_start_time"].pop(-1)
    if total > SLOW_SECONDS:
        log.warning("Slow query (%.2f s): %s", total, sql)
