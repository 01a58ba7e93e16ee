"""What is not counted but measured when Prometheus asks: disk, process, runner and alerts."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import psutil
from flask import Flask
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from app.observability.background import Calls
from app.observability.disk import free_ratio
from app.observability.log_spool import dropped_lines
from app.observability.metrics import REGISTRY

log = logging.getLogger(__name__)

TIME_LIMIT = 2.0


class Measured:
    """A registry's source that measures at the moment of asking; leaves out what fails."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._calls = Calls()
        self._failing: set[str] = set()

    def collect(self) -> Iterator[Metric]:
        log_dir = Path(self._app.config["LOG_DIR"])
        parts: dict[str, Callable[[], Iterable[Metric]]] = {
            "disk": lambda: disk_metrics(self._app.config),
            "process": process_metrics,
            "runner": lambda: runner_metrics(self._ask("runner_status")),
            "spool": lambda: dropped_metrics("spool_full", dropped_lines(log_dir)),
            "alerts": lambda: alert_metrics(self._ask_in_time("alert_states")),
        }
        for name, part in parts.items():
            try:
                yield from list(part())
                self._failing.discard(name)
            except Exception:
                # A scrape without one part beats no scrape. Told once until it works again,
                # because scrapes come every few seconds.
                if name not in self._failing:
                    log.warning("metric_not_measured", exc_info=True, extra={"part": name})
                self._failing.add(name)

    def _ask(self, name: str) -> Any:
        """Ask what another capability left in the app's extensions; None if there is none."""
        with self._app.app_context():
            return self._app.extensions.get(name, lambda: None)()

    def _ask_in_time(self, name: str) -> Any:
        # It reads the database, which may hang just when Prometheus is needed most.
        call = self._calls.start(name, lambda: self._ask(name))
        if not call.wait(TIME_LIMIT):
            raise TimeoutError(name)
        if call.error is not None:
            raise call.error
        return call.result


def several_workers() -> bool:
    """Tell whether this process shares its metrics with others through files."""
    return bool(os.environ.get("PROMETHEUS_MULTIPROC_DIR"))


def disk_metrics(config: Mapping[str, Any]) -> Iterator[Metric]:
    """Yield the share of free disk under each folder, by the folder's use, not its place."""
    family = GaugeMetricFamily(
        "disk_free_ratio", "Free share of the disk that holds a folder.", labels=["path"]
    )
    for use, setting in (("uploads", "UPLOAD_FOLDER"), ("logs", "LOG_DIR")):
        family.add_metric([use], free_ratio(Path(config[setting])))
    yield family


def process_metrics() -> Iterator[Metric]:
    """Yield CPU and memory of this server: this process, or the master with all its workers."""
    me = psutil.Process()
    members = [me]
    if several_workers() and (master := me.parent()) is not None:
        members = [master, *master.children()]
    cpu = memory = 0.0
    for process in members:
        try:
            with process.oneshot():
                times, used = process.cpu_times(), process.memory_info().rss
        except psutil.Error:
            # It ended between the listing and now.
            continue
        # With the time of children that have ended, so that the sum never falls when a worker
        # is replaced: Prometheus would take that for a restart and see a burst of work.
        cpu += times.user + times.system + times.children_user + times.children_system
        memory += used
    yield CounterMetricFamily("process_cpu_seconds", "CPU time of the server.", value=cpu)
    yield GaugeMetricFamily("process_resident_memory_bytes", "Memory of the server.", value=memory)


class RunnerState(Protocol):
    """What the runner left for others to read."""

    @property
    def seen_at(self) -> datetime: ...
    @property
    def lag_seconds(self) -> float | None: ...
    @property
    def refused(self) -> int: ...
    @property
    def torn(self) -> int: ...


def runner_metrics(status: RunnerState | None) -> Iterator[Metric]:
    """Yield how long ago the runner was seen and how far it is behind; nothing if it never was."""
    if status is None:
        return
    age = max((datetime.now(UTC) - status.seen_at).total_seconds(), 0.0)
    yield GaugeMetricFamily(
        "scheduler_last_seen_seconds", "Seconds since the runner was last seen.", value=age
    )
    if status.lag_seconds is not None:
        yield GaugeMetricFamily(
            "log_ship_lag_seconds",
            "Age of the oldest log record that is not stored yet.",
            value=status.lag_seconds,
        )
    yield CounterMetricFamily(
        "log_lines_torn", "Fragments of lines, left by a kill or a full disk.", value=status.torn
    )
    yield from dropped_metrics("refused", status.refused)


def dropped_metrics(reason: str, count: int) -> Iterator[Metric]:
    """Yield what was lost behind the files; what could not be written is counted where it is."""
    family = CounterMetricFamily(
        "log_records_dropped", "Records lost on the way.", labels=["reason"]
    )
    family.add_metric([reason], count)
    yield family


def dropped_records(log_dir: Path, status: RunnerState | None) -> int:
    """Return how many records all processes of this server, and its runner, have lost."""
    counted = MultiProcessCollector(None) if several_workers() else REGISTRY  # type: ignore[no-untyped-call]
    written = (
        sample.value
        for family in counted.collect()
        for sample in family.samples
        if sample.name == "log_records_dropped_total"
    )
    return int(sum(written)) + dropped_lines(log_dir) + (status.refused if status else 0)


def alert_metrics(states: Mapping[str, bool] | None) -> Iterator[Metric]:
    """Yield 1 for each alert rule that fires and 0 for the others."""
    if not states:
        return
    family = GaugeMetricFamily("alert_firing", "1 while the alert fires.", labels=["rule"])
    for rule, firing in sorted(states.items()):
        family.add_metric([rule], float(firing))
    yield family
