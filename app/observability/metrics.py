"""The metrics of the product, by the names that Prometheus shows, and what counts requests."""

import time
from functools import lru_cache
from threading import get_ident

from flask import Flask, Request, Response, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_flask_exporter import PrometheusMetrics

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
_BEGAN = "glasshouse.metrics_began"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def init_app(app: Flask) -> None:
    """Count this app's requests."""
    # Each app has its own request metrics: two in one process would count into one another's.
    registry = CollectorRegistry(auto_describe=True)
    app.extensions["request_metrics"] = registry
    counted = RequestMetrics(registry)
    app.before_request(counted.begin)
    app.after_request(counted.count)
    app.teardown_request(counted.count_propagated)


def show_pools() -> None:
    """Show what the connections of the app at hand do at this moment.

    Asked now and then: to follow each connection out of its pool and back would be a request's
    dearest metric.
    """
    pools = [engine.pool for engine in db.engines.values()]
    for state, ask in (("in_use", "checkedout"), ("idle", "checkedin")):
        # A pool of one connection counts nothing.
        db_pool_connections.labels(state).set(sum(getattr(pool, ask, int)() for pool in pools))


class RequestMetrics:
    """The exporter's metrics of requests, by its names and with its labels, and its `info`.

    Its own hooks cost several times as much, because they find each series anew.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        exporter = PrometheusMetrics(None, path=None, registry=registry)
        exporter.info("flask_exporter_info", "Version of the exporter.", version=exporter.version)
        self._durations = Histogram(
            "flask_http_request_duration_seconds", "Time that a request took.",
            ["method", "url_rule", "status"], buckets=REQUEST_BUCKETS, registry=registry,
        )  # fmt: skip
        self._totals = Counter(
            "flask_http_request_total", "Requests.", ["method", "status"], registry=registry
        )
        self._exceptions = Counter(
            "flask_http_request_exceptions_total", "Exceptions that left Flask.",
            ["method", "status"], registry=registry,
        )  # fmt: skip
        # As many as there are series, which have no bound either.
        self._series = lru_cache(maxsize=None)(self._find)

    def begin(self) -> None:
        asked: Request = request._get_current_object()  # type: ignore[attr-defined]
        asked.environ[_BEGAN] = get_ident(), time.perf_counter()

    def count(self, response: Response) -> Response:
        """Count a request once: if another hook raises, Flask runs the hooks again."""
        self._count(response.status_code)
        return response

    def count_propagated(self, exc: BaseException | None) -> None:
        """Count what left Flask without an answer, as in debug mode and under TESTING."""
        if exc is not None:
            self._count(500)
            if request.method in METHODS:
                self._exceptions.labels(request.method, 500).inc()

    def _count(self, status: int) -> None:
        asked: Request = request._get_current_object()  # type: ignore[attr-defined]
        thread, began = asked.environ.get(_BEGAN, (0, 0.0))
        # Of a copy of this request, in another thread, nothing is to be counted.
        if thread != get_ident():
            return
        del asked.environ[_BEGAN]
        if hasattr(asked, "prom_do_not_track"):
            return
        if asked.method not in METHODS:
            # Each that a client makes up would be a series of its own.
            requests_unknown_method_total.inc()
            return
        rule = asked.url_rule
        # By the route's template; all paths without a route share one value.
        duration, total = self._series(asked.method, rule.rule if rule else "unmatched", status)
        duration.observe(time.perf_counter() - began)
        total.inc()

    def _find(self, method: str, rule: str, status: int) -> tuple[Histogram, Counter]:
        return self._durations.labels(method, rule, status), self._totals.labels(method, status)
