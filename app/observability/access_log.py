"""One canonical record per request, written before the last byte of the answer."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from flask import Flask, Request, Response, g, request

from app.observability import log_context, query_timer
from app.observability.events import record_event
from app.observability.log_redaction import use_request_secrets
from app.observability.query_timer import QueryStats
from app.observability.request_secrets import RequestSecrets

# Probes, scrapes, static files and the polls of an open tail come in numbers and say nothing while
# they succeed; the request metrics count them. That somebody opened a tail is an event.
_QUIET = (
    "health.", "metrics", "static", "bootstrap.static", "favicon", "admin.log_tail",
    "admin_api.log_tail",
)  # fmt: skip
_USER_AGENT_LENGTH = 200


def init_app(app: Flask) -> None:
    """Record each request; comes before every hook that can fail, so that it sees its answer."""
    log = AccessLog(app.config["SLOW_QUERY_MS"])
    app.before_request(log.begin)
    app.after_request(log.record)
    app.teardown_request(log.record_propagated)


class AccessLog:
    """Write a request's record when its account of statements ends, which happens once.

    If another hook raises, Flask runs the hooks again.
    """

    def __init__(self, slow_ms: float) -> None:
        self._slow_ms = slow_ms

    def begin(self) -> None:
        query_timer.start(request._get_current_object())  # type: ignore[attr-defined]

    def record(self, response: Response) -> Response:
        asked: Request = request._get_current_object()  # type: ignore[attr-defined]
        stats = query_timer.stop(asked)
        quiet = response.status_code < 400 and (asked.endpoint or "").startswith(_QUIET)
        if stats is None or quiet:
            return response
        fields = _fields(asked, response.status_code)
        if response.is_streamed and not response.direct_passthrough:
            write = partial(self._write, stats, fields)
            response.response = _RecordedStream(response, stats, write)
        else:
            self._write(stats, fields)
        return response

    def record_propagated(self, exc: BaseException | None) -> None:
        """Record what left Flask without an answer, as in debug mode and under TESTING."""
        asked: Request = request._get_current_object()  # type: ignore[attr-defined]
        stats = query_timer.stop(asked)
        if exc is not None and stats is not None:
            self._write(stats, _fields(asked, 500))

    def _write(self, stats: QueryStats, fields: dict[str, Any], outcome: str | None = None) -> None:
        duration = round((time.perf_counter() - stats.started) * 1000, 3)
        if (duration >= self._slow_ms or fields["status"] >= 500) and stats.queries:
            fields["details"]["queries"] = stats.story()
        if repeated := stats.n_plus_one():
            fields["details"]["n_plus_one"] = repeated
        record_event(
            "request", "request", duration_ms=duration, db_ms=round(stats.total_ms, 3),
            db_count=stats.count, outcome=outcome, **fields,
        )  # fmt: skip


class _RecordedStream:
    """A streamed body that is recorded at its end, or when the client goes before that.

    Not a generator: closing one that was never started, as for HEAD, would record nothing.
    """

    def __init__(self, response: Response, stats: QueryStats, write: Callable[..., None]) -> None:
        self._body: Any = response.response
        self._chunks = iter(self._body)
        # With a length that the client was told, its last byte can come before the stream's end.
        self._missing = response.content_length
        # Nobody asks for the body of an answer that has none.
        self._outcome = "success" if request.method == "HEAD" else "aborted"
        self._write: Callable[..., None] | None = write
        self._stats = stats
        self._bound = log_context.current()
        self._secrets = RequestSecrets(request._get_current_object())  # type: ignore[attr-defined]

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        with self._as_in_the_request():
            try:
                chunk = next(self._chunks)
            except StopIteration:
                self._record("success")
                raise
            if self._missing is not None:
                self._missing -= len(chunk)
                if self._missing <= 0:
                    self._record("success")
            return chunk

    def close(self) -> None:
        with self._as_in_the_request():
            self._record(self._outcome)
            if close := getattr(self._body, "close", None):
                close()

    @contextmanager
    def _as_in_the_request(self) -> Iterator[None]:
        # The request's own hooks have undone all this when the body is read.
        with log_context.bound(**self._bound):
            use_request_secrets(self._secrets)
            query_timer.resume(self._stats)
            try:
                yield
            finally:
                use_request_secrets(None)
                query_timer.stop(self._stats.owner)

    def _record(self, outcome: str) -> None:
        write, self._write = self._write, None
        if write is not None:
            write(outcome=outcome)


def _fields(asked: Request, status: int) -> dict[str, Any]:
    # Taken now: a stream ends when the request's context is gone.
    context, agent = log_context.current(), asked.environ.get("HTTP_USER_AGENT", "")
    details: dict[str, Any] = {"user_agent": agent[:_USER_AGENT_LENGTH]}
    if context.get("user_id") and "_login_user" not in g:
        # Nobody asked Flask-Login: the cookie says so, but its session may have ended.
        details["user_unverified"] = True
    return {
        "method": asked.method,
        "path": asked.path,
        "status": status,
        "details": details,
    }
