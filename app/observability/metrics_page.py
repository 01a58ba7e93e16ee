"""The page that Prometheus reads: what was counted, and what is measured when it asks."""

import hmac
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import prometheus_client
from flask import Flask, Response, current_app, request
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_flask_exporter import PrometheusMetrics

from app.observability.measured_metrics import Measured, several_workers
from app.observability.metrics import REGISTRY, show_pools


class Source(Protocol):
    """Something that lists metrics; a registry is one, too."""

    def collect(self) -> Iterable[Metric]: ...


def init_app(app: Flask) -> None:
    """Serve /metrics; asks METRICS_TOKEN of the reader when it is set."""
    app.extensions["measured_metrics"] = Measured(app)
    untracked = PrometheusMetrics.do_not_track()
    app.add_url_rule("/metrics", "metrics", untracked(show_metrics))


def show_metrics() -> Response:
    """Answer with the metrics in Prometheus' text format; `name[]` picks series by name."""
    token = current_app.config["METRICS_TOKEN"]
    if token and not _may_read(token, request.headers.get("Authorization", "")):
        return Response(
            "A token is needed.\n",
            401,
            {"WWW-Authenticate": 'Bearer realm="metrics"'},
            "text/plain",
        )
    # Other workers' samplers show theirs every few seconds.
    show_pools()
    registry: Any = CollectorRegistry(support_collectors_without_names=True)
    registry.register(_Union(_sources(current_app)))
    if names := request.args.getlist("name[]"):
        registry = registry.restricted_registry(names)
    return Response(
        generate_latest(registry),
        content_type=CONTENT_TYPE_PLAIN_0_0_4,
        headers={"Cache-Control": "no-store"},
    )


def _may_read(token: str, header: str) -> bool:
    scheme, _, given = header.partition(" ")
    # Bytes, because compare_digest refuses text that is not ASCII.
    same = hmac.compare_digest(given.strip().encode(), token.encode())
    return same and scheme.lower() == "bearer"


def _sources(app: Flask) -> list[Source]:
    measured = app.extensions["measured_metrics"]
    if several_workers():
        return [measured, MultiProcessCollector(None)]  # type: ignore[no-untyped-call]
    requests = app.extensions.get("request_metrics", CollectorRegistry())
    return [measured, REGISTRY, requests, prometheus_client.REGISTRY]


class _Union:
    """All metrics of several sources; of samples with one name and labels the first."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        found: dict[str, Metric] = {}
        for source in self._sources:
            for metric in source.collect():
                known = found.setdefault(metric.name, metric)
                if known is not metric:
                    shown = [(one.name, one.labels) for one in known.samples]
                    known.samples += [
                        one for one in metric.samples if (one.name, one.labels) not in shown
                    ]
        yield from found.values()
