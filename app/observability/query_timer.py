"""Time every statement, per engine; tell slow ones, and keep the story of each request's."""

import logging
import math
import re
import sys
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from types import FrameType
from typing import Any

from flask import Flask
from sqlalchemy import event
from sqlalchemy.engine.interfaces import ExecutionContext

from app.extensions import db
from app.observability import metrics
from app.observability.events import record_event
from app.observability.exceptions import project_file

_MAX_KINDS = 50  # Different statements kept for one request; further ones are only counted.
_MAX_STATEMENT = 2000
# Equal questions from one line, in one request, that a single one could ask.
_N_PLUS_ONE = 5
_MAX_N_PLUS_ONE = 3
_SHORT_STATEMENT = 200
_MAX_STACK = 80
# Frames of ours and of SQLAlchemy that stand behind every statement: those from _calling_line() to
# Connection.exec_driver_sql(). Python makes a frame only when it is looked at.
_NEVER_CALLING = 6
_OWN_FOLDER = "app/observability/"


@dataclass
class QueryStats:
    """What the database did for one request, job or command, its `owner`.

    `outer` is the account that goes on when this one ends: that of a request that made this one.
    """

    owner: object = None
    outer: "QueryStats | None" = None
    started: float = field(default_factory=time.perf_counter)
    count: int = 0
    total_ms: float = 0.0
    # By statement shape and calling line: offset of the first, total milliseconds, count.
    queries: dict[tuple[str, str | None], list[float]] = field(default_factory=dict)

    def add(self, statement: str, line: str | None, started: float, ms: float) -> None:
        self.count += 1
        self.total_ms += ms
        known = self.queries.get((statement, line))
        if known is not None:
            known[1] += ms
            known[2] += 1
        elif len(self.queries) < _MAX_KINDS:
            self.queries[statement, line] = [(started - self.started) * 1000, ms, 1]

    def story(self) -> list[dict[str, Any]]:
        """Return the statements in the order of their first run; probable N+1s are marked."""
        return [
            {"statement": statement, "line": line, "offset_ms": round(offset, 3),
             "ms": round(ms, 3), "count": int(count),
             **({"n_plus_one": True} if line and count >= _N_PLUS_ONE else {})}
            for (statement, line), (offset, ms, count) in self.queries.items()
        ]  # fmt: skip

    def n_plus_one(self) -> list[dict[str, Any]]:
        """Return the statements that one line repeated most, if that is a probable N+1."""
        if self.count < _N_PLUS_ONE:
            return []
        found = [
            {"statement": statement[:_SHORT_STATEMENT], "line": line, "count": int(count)}
            for (statement, line), (_, _, count) in self.queries.items()
            if line and count >= _N_PLUS_ONE
        ]
        return sorted(found, key=itemgetter("count"), reverse=True)[:_MAX_N_PLUS_ONE]


_stats: ContextVar[QueryStats | None] = ContextVar("query_stats", default=None)


def init_app(app: Flask) -> None:
    """Time the statements of each engine of the application, and of no other."""
    with app.app_context():
        for name, engine in db.engines.items():
            context = engine.dialect.execution_ctx_cls
            # What keeps and reads the log would stand before the application's own statements.
            slow_ms = math.inf if name == "logs" else app.config["SLOW_QUERY_MS"]
            engine.dialect.execution_ctx_cls = _timed(context, slow_ms)
            event.listen(engine, "handle_error", _failed)


def start(owner: object = None) -> QueryStats:
    """Begin a new account of statements for the work at hand."""
    stats = QueryStats(owner, _stats.get())
    resume(stats)
    return stats


def resume(stats: QueryStats | None) -> None:
    """Go on with an account that start() began."""
    _stats.set(stats)


def stop(owner: object = None) -> QueryStats | None:
    """End the account that start() began for `owner`, and return it; None if it is not at hand.

    It has ended then, or this is a copy of the owner's context, in another thread.
    """
    stats = _stats.get()
    if stats is None or stats.owner is not owner:
        return None
    _stats.set(stats.outer)
    return stats


def _timed(context_class: type[ExecutionContext], slow_ms: float) -> type[ExecutionContext]:
    """Return what executes a statement, with a timer.

    No listener: as soon as an engine has one, each connection joins its own events with the
    engine's, a dozen kinds, which takes several times as long as all that is done here.
    """

    class Timed(context_class):  # type: ignore[misc,valid-type]
        glasshouse_slow_ms = slow_ms
        glasshouse_started: float | None = None

        def pre_exec(self) -> None:
            super().pre_exec()
            self.glasshouse_started = time.perf_counter()

        def post_exec(self) -> None:
            _finish(self, self.statement)
            super().post_exec()

    return Timed


def _failed(error: Any) -> None:
    # post_exec() is not called for a statement that fails.
    if error.execution_context is not None and error.statement:
        _finish(error.execution_context, error.statement)


def _finish(context: Any, sql: str) -> None:
    # Nothing more to tell when its rows cannot be fetched later.
    started, context.glasshouse_started = context.glasshouse_started, None
    if started is None:
        return
    ms = (time.perf_counter() - started) * 1000
    metrics.db_query_duration_seconds.observe(ms / 1000)
    stats, slow = _stats.get(), ms >= context.glasshouse_slow_ms
    if stats is None and not slow:
        return
    statement, line = shape(sql), _calling_line()
    if stats is not None:
        stats.add(statement, line, started, ms)
    if slow:
        record_event(
            "slow_query", "slow query", level=logging.WARNING, statement=statement,
            duration_ms=round(ms, 3), details={"line": line},
        )  # fmt: skip


_IDENTIFIER = r'"(?:[^"]|"")*+"'
# What holds a value: quoted texts of each kind, then numbers, then parameters.
_VALUES = tuple(
    re.compile(pattern, re.DOTALL | re.IGNORECASE)
    for pattern in (
        (
            r"\be'(?:[^'\\]|\\.|'')*+(?:'|\Z)|'(?:[^']|'')*+(?:'|\Z)"
            r"|(?<![\w$])(\$(?:[a-z_]\w*+)?\$).*?(?:\1|\Z)"
        ),
        r"(?<![\w$%:])(?:0x[0-9a-f]+|\d+(?:\.\d+)?(?:e[+-]?\d+)?)\b",
        r"%\(\w+\)s(?:::\w+)?",
    )
)
# SQLite takes a name in double quotes that is no column's for a text.
_MAYBE_TEXT = re.compile(rf"([=<>]\s*|\blike\s+){_IDENTIFIER}(?!\s*\.)", re.IGNORECASE)
_LIST = re.compile(r"\b(?:values|in)\s*\([^()]*+", re.IGNORECASE)


@lru_cache(maxsize=2048)
def shape(sql: str) -> str:
    """Return a statement without its values, so that equal questions look equal."""
    sql = sql[: 4 * _MAX_STATEMENT]
    for values in _VALUES:
        sql = values.sub("?", sql)
    sql = _MAYBE_TEXT.sub(r"\1?", sql)
    sql = _LIST.sub(lambda listed: re.sub(_IDENTIFIER, "?", listed[0]), sql)
    sql = re.sub(r"\(\s*\?(?:\s*,\s*\?)+\s*\)(?:\s*,\s*\(\s*\?(?:\s*,\s*\?)*\s*\))*", "(?, …)", sql)
    return " ".join(sql.split())[:_MAX_STATEMENT]


def _calling_line() -> str | None:
    """Return the innermost line of this project, outside this folder, that asked."""
    frame: FrameType | None = sys._getframe(_NEVER_CALLING)
    for _ in range(_MAX_STACK):
        if frame is None:
            return None
        file = project_file(frame.f_code.co_filename)
        if file is not None and not file.startswith(_OWN_FOLDER):
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back
    return None
