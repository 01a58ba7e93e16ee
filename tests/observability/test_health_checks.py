import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from app.observability import health_checks
from app.observability.health_checks import (
    HEALTHY,
    UNHEALTHY,
    WARNING,
    HealthChecks,
    Result,
    check_database,
    check_disk_space,
    check_log_pipeline,
    check_uploads,
    make_checks,
    worst,
)
from tests.helpers import log_lines, wait_for

LONG_AGO = 3600.0  # Seconds.


@dataclass
class Runner:
    seen_at: datetime
    lag_seconds: float | None = 0.2
    store_error: str | None = None
    refused: int = 0
    torn: int = 0


def fine() -> Result:
    return Result(HEALTHY, "Fine.")


def seconds_ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([], HEALTHY),
        ([HEALTHY, HEALTHY], HEALTHY),
        ([HEALTHY, WARNING], WARNING),
        ([UNHEALTHY, WARNING, HEALTHY], UNHEALTHY),
    ],
)
def test_the_whole_is_as_well_as_its_worst_part(parts: list[str], whole: str) -> None:
    assert worst({str(i): Result(part, "") for i, part in enumerate(parts)}) == whole


def test_a_check_that_hangs_fails_in_time_and_costs_one_thread() -> None:
    release = threading.Event()
    started: list[int] = []

    def hang() -> Result:
        started.append(1)
        release.wait(30)
        return fine()

    checks = HealthChecks({"slow": hang, "quick": fine}, time_limit=0.2)
    try:
        began = time.monotonic()
        for _ in range(10):
            results = checks.run()
            assert results["slow"].status == UNHEALTHY
            assert results["slow"].detail == "No answer within 0.2 s."
            assert results["quick"].status == HEALTHY
        assert time.monotonic() - began < 1.5, "each answer waited for the same hanging check"
        assert len(started) == 1
    finally:
        release.set()
    wait_for(lambda: checks.run("slow")["slow"].status == HEALTHY)


def test_a_check_that_raises_fails_without_its_text(app: Flask) -> None:
    def broken() -> Result:
        raise OSError("no way to /srv/secret/place")

    result = HealthChecks({"broken": broken}).run()["broken"]
    assert (result.status, result.detail) == (UNHEALTHY, "Failed with OSError.")


def test_a_change_is_recorded_once_with_its_reason(app: Flask) -> None:
    failing = threading.Event()

    def moody() -> Result:
        if failing.is_set():
            raise OSError("gone")
        return fine()

    checks = HealthChecks({"moody": moody})
    checks.run()
    failing.set()
    checks.run()
    checks.run()
    failing.clear()
    checks.run()
    down, up = [one for one in log_lines(app) if one["message"] == "health_changed"]
    assert (down["level"], up["level"]) == ("WARNING", "INFO")
    assert down["details"]["check"] == "moody"
    assert down["details"]["now"] == UNHEALTHY
    assert down["exception"]["message"] == "gone"
    assert up["details"]["now"] == HEALTHY


def test_the_database_answers(database_url: str) -> None:
    assert check_database(create_engine(database_url)).status == HEALTHY


def test_a_file_that_is_no_database_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "app.db").write_text("this is not a database" * 100)
    with pytest.raises(Exception, match="not a database"):
        check_database(create_engine(f"sqlite:///{tmp_path / 'app.db'}"))


def test_a_database_that_cannot_be_reached_raises(tmp_path: Path) -> None:
    with pytest.raises(OperationalError):
        check_database(create_engine(f"sqlite:///{tmp_path / 'no' / 'app.db'}"))


def test_the_uploads_check_makes_the_folder_and_leaves_it_empty(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert check_uploads(folder).status == HEALTHY
    assert list(folder.iterdir()) == []


def test_an_upload_folder_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        check_uploads(tmp_path / "file")


@pytest.mark.parametrize(
    ("free", "limit", "status"),
    [(50, 10, HEALTHY), (10, 10, HEALTHY), (9.99, 10, WARNING), (0, 10, WARNING), (0, 0, HEALTHY)],
)
def test_disk_space_warns_below_the_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: float, limit: float, status: str
) -> None:
    monkeypatch.setattr(health_checks, "free_ratio", lambda _folder: free / 100)
    assert check_disk_space([tmp_path], limit).status == status


def test_the_fullest_disk_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    free = {tmp_path / "roomy": 0.9, tmp_path / "full": 0.05}
    monkeypatch.setattr(health_checks, "free_ratio", free.__getitem__)
    assert check_disk_space(list(free), 10) == Result(WARNING, "5.0 % free.")


@pytest.mark.parametrize(
    ("told", "enabled", "up_for", "status"),
    [
        (None, True, LONG_AGO, WARNING),
        (None, True, 1, HEALTHY),
        (None, False, LONG_AGO, HEALTHY),
        ({"seen_at": 1}, True, LONG_AGO, HEALTHY),
        ({"seen_at": 1, "lag_seconds": None}, True, LONG_AGO, HEALTHY),
        ({"seen_at": 1, "lag_seconds": 200}, True, LONG_AGO, HEALTHY),
        ({"seen_at": 1, "lag_seconds": 500}, True, LONG_AGO, WARNING),
        ({"seen_at": 1, "store_error": "refused"}, True, LONG_AGO, WARNING),
        ({"seen_at": LONG_AGO}, True, LONG_AGO, WARNING),
        ({"seen_at": -LONG_AGO}, True, LONG_AGO, WARNING),
        ({"seen_at": LONG_AGO}, False, LONG_AGO, WARNING),
        ({"seen_at": LONG_AGO}, True, 1, HEALTHY),
    ],
)
def test_a_runner_that_should_be_there_and_is_not_or_is_far_behind_is_a_warning(
    told: dict[str, Any] | None, enabled: bool, up_for: float, status: str
) -> None:
    # Ages, which become times only now: the table is read long before its tests run.
    runner = told and Runner(**{**told, "seen_at": seconds_ago(told["seen_at"])})
    assert check_log_pipeline(runner, enabled, seconds_ago(up_for)).status == status


def test_what_a_store_says_about_itself_is_not_shown() -> None:
    runner = Runner(datetime.now(UTC), store_error="postgresql://user:password@host")
    assert "password" not in check_log_pipeline(runner, True, seconds_ago(LONG_AGO)).detail


def test_an_app_has_the_checks_of_the_design(make_app: Callable[..., Flask]) -> None:
    results = make_checks(make_app()).run()
    assert set(results) == {"database", "uploads", "disk_space", "log_pipeline"}


def test_lost_records_and_a_folder_that_takes_none_are_told(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    app = make_app()
    (tmp_path / "logs").mkdir(exist_ok=True)
    (tmp_path / "logs/.dropped").write_text(f"{3:012d} {40:018d}")
    told = make_checks(app).run("log_pipeline")["log_pipeline"]
    lost = int(told.detail.partition("Records lost: ")[2].rstrip("."))
    # What other tests of this process could not write is counted as well.
    assert (told.status, lost >= 40) == (HEALTHY, True)
    shutil.rmtree(tmp_path / "logs")
    (tmp_path / "logs").touch()
    told = make_checks(app).run("log_pipeline")["log_pipeline"]
    assert (told.status, told.detail[:33]) == (WARNING, "The log files cannot be written; ")
