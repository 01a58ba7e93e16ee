"""The metrics of the product, by the names that Prometheus shows, and what counts requests."""

import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from flask import Flask, Request, Response, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_flask_exporter import PrometheusMetrics
from sqlalchemy import Engine, event

from app.extensions import db

# A registry of our own: importing this module again never meets its own earlier metrics.
REGISTRY = CollectorRegistry()

item_operations_total = Counter(
    "item_operations_total", "Operations on items.", ["operation", "status"], registry=REGISTRY
)
login_attempts_total = Counter(
    "login_attempts_total", "Attempts to log in.", ["result"], registry=REGISTRY
)
emails_total = Counter("emails_total", "Mails handed to SMTP.", ["result"], registry=REGISTRY)
db_query_duration_seconds = Histogram(
    "db_query_duration_seconds",
    "Time that the database took for a statement.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5),
    registry=REGISTRY,
)
db_pool_connections = Gauge(
    "db_pool_connections",
    "Connections of the pools of all workers.",
    ["state"],
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
# Kept: finding what labels() finds takes longer than to set it.
_in_use, _idle = (db_pool_connections.labels(state) for state in ("in_use", "idle"))
log_records_total = Counter(
    "log_records_total", "Records written to the log.", ["level"], registry=REGISTRY
)
log_records_dropped_total = Counter(
    "log_records_dropped_total", "Records lost on the way.", ["reason"], registry=REGISTRY
)
requests_unknown_method_total = Counter(
    "requests_unknown_method_total",
    "Requests with a made-up method, kept out of the other request metrics.",
    registry=REGISTRY,
)

REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
do_not_track = PrometheusMetrics.do_not_track()
_mark_untracked = do_not_track(lambda: None)


def init_app(app: Flask) -> None:
    """Count this app's requests and watch its connection pools; needs the database bound."""
    # Each app has its own request metrics: the exporter counts nothing for the second app that
    # uses one registry, and says nothing about it.
    registry = CollectorRegistry(auto_describe=True)
    PrometheusMetrics(app, path=None, group_by=url_rule, registry=registry, buckets=REQUEST_BUCKETS)
    app.extensions["request_metrics"] = registry
    # Hooks after a request run last in, first out: this one runs before the exporter's.
    app.after_request(set_unknown_method_apart)
    with app.app_context():
        for engine in db.engines.values():
            _pools.listen(engine)


def url_rule(request: Request) -> str:
    """Return the route's template; all paths without a route share one value."""
    return request.url_rule.rule if request.url_rule else "unmatched"


def set_unknown_method_apart(response: Response) -> Response:
    """Keep each method that a client makes up from becoming a series of its own."""
    if request.method not in METHODS:
        requests_unknown_method_total.inc()
        _mark_untracked()
    return response


class PoolWatch:
    """Show how many connections of all engines in this process are in use, and how many idle.

    Weak sets of the pool's records: the pool also reports the return of what it never handed
    out, and an engine that nobody needs any more takes its connections with it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: WeakSet[Any] = WeakSet()
        self._used: WeakSet[Any] = WeakSet()

    def listen(self, engine: Engine) -> None:
        """Follow an engine's pool; also clears what a dead worker left in this worker's slot."""
        event.listen(engine, "connect", self._on(self._opened.add))
        event.listen(engine, "checkout", self._on(self._used.add))
        event.listen(engine, "checkin", self._on(self._used.discard))
        event.listen(engine, "close", self._on(self._opened.discard))
        with self._lock:
            self._show()

    def _on(self, change: Callable[[Any], None]) -> Callable[..., None]:
        def listener(_connection: Any, record: Any, *_: Any) -> None:
            with self._lock:
                change(record)
                self._show()

        return listener

    def _show(self) -> None:
        used = len(self._used)
        _in_use.set(used)
        _idle.set(max(len(self._opened) - used, 0))


_pools = PoolWatch()
