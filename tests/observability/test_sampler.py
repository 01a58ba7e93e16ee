import os
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from flask import Flask
from sqlalchemy.pool import StaticPool

from app import db
from app.observability import metrics, sampler
from app.observability.sampler import Sampler, pool_use, take_sample
from tests.helpers import log_lines, wait_for

SERVER = {"SERVER_SOFTWARE": "gunicorn/1"}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, app: Flask) -> Iterator[Flask]:
    monkeypatch.setattr(Sampler.__init__, "__defaults__", (0.01,))
    yield app
    sampler.stop(app)


def sampling(app: Flask) -> Any:
    return app.extensions.get("sampler")


def test_a_sample_says_what_the_process_uses(app_context: Flask) -> None:
    with db.engine.connect():
        found = take_sample(app_context, psutil.Process())
    assert found["rss_bytes"] > 1_000_000
    assert found["cpu_percent"] >= 0
    assert found["pool"] == {"in_use": 1, "size": 5, "overflow": 0}
    assert set(found["disk_free"]) == {"uploads", "logs"}
    assert all(0 < share <= 1 for share in found["disk_free"].values())


def test_a_pool_that_counts_nothing_has_nothing_in_use() -> None:
    assert pool_use(StaticPool(lambda: None)) == {"in_use": 0, "size": 0, "overflow": 0}  # type: ignore[arg-type, return-value]


def test_only_a_server_s_request_starts_it_and_it_writes_until_it_is_stopped(quick: Flask) -> None:
    client = quick.test_client()
    client.get("/health/live")
    assert sampling(quick) is None
    client.get("/health/live", environ_overrides=SERVER)
    thread = sampling(quick)
    sampler.start(quick)
    assert sampling(quick) is thread
    wait_for(lambda: len(log_lines(quick, "sample")) > 1)
    (first, *_) = log_lines(quick, "sample")
    assert (first["level"], first["pid"], first["request_id"]) == ("INFO", os.getpid(), None)
    assert first["details"]["process"] == "server"
    sampler.stop(quick)
    assert not thread.is_alive()
    written = len(log_lines(quick, "sample"))
    client.get("/health/live", environ_overrides=SERVER)
    assert (sampling(quick), len(log_lines(quick, "sample"))) == (None, written)


def test_a_child_process_gets_a_thread_of_its_own(quick: Flask) -> None:
    sampler.start(quick)
    child = os.fork()
    if child == 0:
        sampler.start(quick, "worker")
        os._exit(0 if sampling(quick).is_alive() else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_what_fails_is_told_once_and_ends_nothing(
    quick: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def fail(*_: Any) -> dict[str, Any]:
        calls.append(1)
        if len(calls) < 4:
            raise OSError("no disk")
        return {}

    monkeypatch.setattr(sampler, "take_sample", fail)
    sampler.start(quick)
    wait_for(lambda: log_lines(quick, "sample"))
    told = [one for one in log_lines(quick) if one["message"] == "sample_not_taken"]
    assert [one["exception"]["type"] for one in told] == ["OSError"]


def test_it_shows_the_pool_without_being_asked(quick: Flask) -> None:
    def in_use() -> float:
        return metrics.db_pool_connections.labels("in_use")._value.get()

    with quick.app_context():
        engine = db.engine
    sampler.start(quick)
    with engine.connect():
        wait_for(lambda: in_use() == 1)
    wait_for(lambda: in_use() == 0)
