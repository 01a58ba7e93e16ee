import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.observability import measured_metrics, metrics
from app.observability.measured_metrics import alert_metrics, process_metrics, runner_metrics
from tests.exposition import scrape
from tests.helpers import log_lines


@dataclass
class Runner:
    seen_at: datetime
    lag_seconds: float | None
    refused: int = 2
    torn: int = 5


def test_free_disk_is_a_ratio_named_by_the_folders_use(app: Flask, client: FlaskClient) -> None:
    found = scrape(client)
    assert found.labels("disk_free_ratio", "path") == {"uploads", "logs"}
    assert 0 < found.value("disk_free_ratio", path="logs") <= 1


def test_the_process_has_used_some_cpu_and_memory() -> None:
    cpu, memory = (metric.samples[0] for metric in process_metrics())
    assert cpu.name == "process_cpu_seconds_total"
    assert cpu.value > 0
    assert memory.value > 1_000_000


def test_a_host_that_never_had_a_runner_shows_no_runner() -> None:
    assert list(runner_metrics(None)) == []


def test_the_runner_shows_its_silence_and_its_lag(app: Flask, client: FlaskClient) -> None:
    runner = Runner(datetime.now(UTC) - timedelta(seconds=40), 2.5)
    app.extensions["runner_status"] = lambda: runner
    found = scrape(client)
    assert 40 <= found.value("scheduler_last_seen_seconds") < 60
    assert found.value("log_ship_lag_seconds") == 2.5
    assert found.value("log_lines_torn_total") == 5


def test_what_was_lost_behind_the_files_is_one_metric_with_what_never_got_there(
    app: Flask, client: FlaskClient, tmp_path: Path
) -> None:
    app.extensions["runner_status"] = lambda: Runner(datetime.now(UTC), 0)
    metrics.log_records_dropped_total.labels("write_failed").inc(0)
    logs = tmp_path / "logs"
    logs.mkdir(exist_ok=True)
    before = measured_metrics.dropped_records(logs, None)
    (logs / ".dropped").write_text(f"{3:012d} {40:018d}")
    found = scrape(client)
    assert found.value("log_records_dropped_total", reason="spool_full") == 40
    assert found.value("log_records_dropped_total", reason="refused") == 2
    assert found.value("log_records_dropped_total", reason="write_failed") >= 0
    assert measured_metrics.dropped_records(logs, None) == before + 40


def test_alerts_show_which_rules_fire() -> None:
    (family,) = alert_metrics({"error_rate": True, "disk": False})
    assert [(one.labels["rule"], one.value) for one in family.samples] == [
        ("disk", 0.0), ("error_rate", 1.0),
    ]  # fmt: skip


def test_a_part_that_cannot_be_measured_leaves_the_others(app: Flask, client: FlaskClient) -> None:
    def broken() -> Any:
        raise OSError("no such thing")

    app.extensions["runner_status"] = broken
    scrape(client)
    found = scrape(client)
    assert "log_ship_lag_seconds" not in found.names()
    assert found.value("process_cpu_seconds_total") > 0
    (record,) = [one for one in log_lines(app) if one["message"] == "metric_not_measured"]
    assert record["exception"]["type"] == "OSError"


def test_a_database_that_hangs_does_not_hang_the_page(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(measured_metrics, "TIME_LIMIT", 0.2)
    app.extensions["alert_states"] = lambda: release.wait(30) and {}
    try:
        started = time.monotonic()
        assert scrape(client).value("process_cpu_seconds_total") > 0
        assert scrape(client).value("process_cpu_seconds_total") > 0
        assert time.monotonic() - started < 5
    finally:
        release.set()
