from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.observability.disk import Usage
from app.observability.log_spool import host_id
from app.scheduler.status import RunnerStatus
from app.services import log_recorder
from app.services.log_recorder import (
    alive,
    bytes_a_day,
    days_until_full,
    hosts,
    newest_samples,
    recorder,
)
from tests.logstore.stores import line, put, sample

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def sampled(
    ago: timedelta, host: str | None = "web", pid: int = 1, **fields: Any
) -> dict[str, Any]:
    return sample(NOW - ago, action="sample", host=host, pid=pid, release="1.0", **fields)


def test_hosts_are_alive_or_silent_and_the_silent_ones_come_first(app_context: Flask) -> None:
    minute = timedelta(minutes=1)
    put(
        app_context.extensions["log_store"],
        *(sampled(minute * back, pid=pid) for back, pid in ((2.5, 1), (0.5, 1), (1, 2), (9, 3))),
        sampled(5 * minute, host="z"),
        sampled(90 * minute, host="gone"),
    )
    samples = newest_samples(NOW)
    found = hosts(samples, NOW)
    assert [(one.host, one.alive, one.pids, one.releases) for one in found] == [
        ("z", False, [], []), ("web", True, [1, 2], ["1.0"]),
    ]  # fmt: skip
    assert abs(found[0].last_seen - (NOW - 5 * minute)) < timedelta(milliseconds=2)
    assert sorted(one["pid"] for one in alive(samples, NOW)) == [1, 2]


def test_the_recorder_tells_what_its_runner_and_its_files_know(app_context: Flask) -> None:
    log_dir = Path(app_context.config["LOG_DIR"])
    log_dir.mkdir(exist_ok=True)
    app_context.extensions["runner_status"] = lambda: None
    unknown = recorder(NOW)
    assert (unknown.alive, unknown.lag_seconds, unknown.refused, unknown.dropped) == (
        False, None, None, 0,
    )  # fmt: skip
    (log_dir / ".dropped").write_text("000000000001 000000000000000007")
    status = RunnerStatus(1, NOW, datetime.now(UTC), 1.5, unshipped_bytes=9, refused=2, torn=3)
    app_context.extensions["runner_status"] = lambda: status
    found = recorder(NOW)
    assert (found.alive, found.lag_seconds, found.unshipped_bytes) == (True, 1.5, 9)
    assert (found.dropped, found.refused, found.torn) == (7, 2, 3)


def test_the_rate_is_that_of_the_files_since_the_first_line_that_can_be_read(
    tmp_path: Path,
) -> None:
    assert bytes_a_day(tmp_path, NOW) is None
    (tmp_path / "app.log.000001").write_bytes(b"n of a torn line\n")
    first = line(sample(NOW - DAY / 2))
    (tmp_path / "app.log.000002").write_bytes(first + b"x" * (1000 - len(first)))
    (tmp_path / "app.log").write_bytes(b"y" * 983)
    assert bytes_a_day(tmp_path, NOW) == pytest.approx(4000, rel=0.001)
    assert bytes_a_day(tmp_path, NOW - DAY / 2) is None


def test_a_disk_is_full_when_it_goes_on_filling_up_as_since_a_week_ago(
    app_context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_dir = Path(app_context.config["LOG_DIR"])
    monkeypatch.setattr(log_recorder, "disk_usage", lambda _: Usage(1000, 700, 300))
    store, own = app_context.extensions["log_store"], host_id(log_dir)
    assert days_until_full(log_dir, NOW, None) is None
    # No sample yet: what the log alone would take.
    assert days_until_full(log_dir, NOW, 10.0) == 30
    for number, (ago, source, share) in enumerate((
        (timedelta(minutes=5), own, 0.9),
        (6 * DAY, "another", 0.9),
        (8 * DAY, own, 0.9),
    )):  # fmt: skip
        told = sampled(ago, details={"disk_free": {"logs": share}})
        put(store, told, source=source, segment=str(number))
    assert days_until_full(log_dir, NOW, 10.0) == 30
    put(store, sampled(DAY, details={"disk_free": {"logs": 0.4}}), source=own, segment="4")
    assert days_until_full(log_dir, NOW, 10.0) == pytest.approx(3)
    put(store, sampled(6 * DAY, details={"disk_free": {"logs": 0.2}}), source=own, segment="5")
    assert days_until_full(log_dir, NOW, 10.0) is None


def test_odd_samples_and_files_are_passed_over(app_context: Flask) -> None:
    log_dir = Path(app_context.config["LOG_DIR"])
    put(
        app_context.extensions["log_store"],
        sampled(DAY, host=None, details={"disk_free": "?"}),
        source=host_id(log_dir),
    )
    assert days_until_full(log_dir, NOW, None) is None
    log_dir.joinpath("app.log").write_bytes(b"")
    assert bytes_a_day(log_dir, NOW) is None
