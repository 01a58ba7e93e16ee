import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.logstore.contract import LogQuery, StoreUnavailable
from app.logstore.shipper import shipper_for
from app.observability.events import record_event
from app.scheduler import runner as runner_module
from app.scheduler.election import LOCK_NAME, take_lock
from app.scheduler.jobs import Job
from app.scheduler.runner import Runner
from app.scheduler.status import read_status
from tests.helpers import log_lines, wait_for


class Plan:
    """A shipper that does what it is told, pass by pass, and then nothing."""

    def __init__(self, *passes: Exception | int) -> None:
        self.passes = list(passes)
        self.done: list[Exception | int] = []
        self.lag_seconds, self.unshipped_bytes = 0.5, 10
        self.shipped_through, self.dropped = 3, 2
        self.refused, self.torn = 1, 4
        self.held_without_name: list[Any] = []

    def ship_once(self, seconds: float) -> int:
        result = self.passes.pop(0) if self.passes else 0
        self.done.append(result)
        if isinstance(result, Exception):
            raise result
        return result


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    monkeypatch.setattr(runner_module, "PAUSE", 0.01)
    monkeypatch.setattr(runner_module, "FIRST_BACK_OFF", 0.01)
    monkeypatch.setattr(runner_module, "LONGEST_BACK_OFF", 0.02)
    running: list[tuple[threading.Event, threading.Thread]] = []

    def start(shipper: Any, jobs: tuple[Job, ...] = ()) -> Callable[[], None]:
        stop = threading.Event()
        lock = take_lock(Path(app.config["LOG_DIR"]))
        assert lock is not None
        work = Runner(app, lock, shipper, stop, jobs)
        thread = threading.Thread(target=work.run, name="the runner")
        thread.start()
        running.append((stop, thread))

        def end() -> None:
            stop.set()
            thread.join(10)
            assert not thread.is_alive()

        return end

    yield start
    for stop, thread in running:
        stop.set()
        thread.join(10)


def status(app: Flask) -> Any:
    return read_status(Path(app.config["LOG_DIR"]))


def test_what_is_logged_is_soon_in_the_store(app: Flask, run: Callable[..., Any]) -> None:
    run(shipper_for(app))
    record_event("sample", "one", request_id="req-1")
    store = app.extensions["log_store"]
    wait_for(lambda: store.page(LogQuery(request_id="req-1")).records)


def test_the_last_pass_takes_what_is_left(app: Flask, run: Callable[..., Any]) -> None:
    end = run(shipper_for(app))
    wait_for(lambda: status(app))
    record_event("sample", "last", request_id="req-2")
    end()
    store = app.extensions["log_store"]
    assert len(store.page(LogQuery(request_id="req-2")).records) == 1


def test_it_shows_who_it_is_and_how_far_it_is(app: Flask, run: Callable[..., Any]) -> None:
    run(Plan())
    shown = wait_for(lambda: status(app))
    assert (shown.pid, shown.alive, shown.lag_seconds, shown.unshipped_bytes) == (
        os.getpid(), True, 0.5, 10,
    )  # fmt: skip
    assert (shown.shipped_through, shown.dropped, shown.store_error) == (3, 2, None)
    assert (shown.refused, shown.torn) == (1, 4)
    wait_for(lambda: status(app).seen_at > shown.seen_at)


def test_a_store_that_is_down_is_said_once_and_once_when_it_is_back(
    app: Flask, run: Callable[..., Any]
) -> None:
    plan = Plan(*[StoreUnavailable("no route") for _ in range(5)], 1)
    run(plan)
    wait_for(lambda: len(plan.done) > 6)
    (down,) = log_lines(app, "log_store_unavailable")
    assert (down["level"], down["details"]["reason"]) == ("WARNING", "no route")
    assert len(log_lines(app, "log_store_available")) == 1
    assert log_lines(app, "error") == []


def test_while_the_store_is_down_it_waits_longer_and_the_status_says_so(
    app: Flask, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "FIRST_BACK_OFF", 0.2)
    monkeypatch.setattr(runner_module, "LONGEST_BACK_OFF", 60.0)
    plan = Plan(*[StoreUnavailable("postgresql://me:geheim@db is down") for _ in range(50)])
    run(plan)
    shown = wait_for(lambda: status(app))
    assert shown.store_error == "postgresql://[redacted]@db is down"
    # The status goes on while the next try is far away.
    wait_for(lambda: len(plan.done) == 4)
    before = status(app).seen_at
    wait_for(lambda: status(app).seen_at > before)
    assert len(plan.done) == 4


def test_an_unforeseen_failure_is_one_error_record_and_not_the_end(
    app: Flask, run: Callable[..., Any]
) -> None:
    plan = Plan(*[ValueError("odd") for _ in range(4)], 1)
    run(plan)
    wait_for(lambda: len(plan.done) > 5)
    (error,) = log_lines(app, "error")
    assert (error["details"]["job"], error["exception"]["type"]) == ("ship", "ValueError")


def test_jobs_run_beside_the_loop_and_are_shown(app: Flask, run: Callable[..., Any]) -> None:
    run(Plan(), (Job("quick", lambda: None, 1),))
    shown = wait_for(lambda: (found := status(app)) and found.jobs and found)
    assert shown.jobs["quick"]["ok"] is True


def test_it_warns_at_start_when_alerts_reach_nobody(app: Flask, run: Callable[..., Any]) -> None:
    run(Plan())
    wait_for(lambda: status(app))
    said = [one for one in log_lines(app) if one["message"] == "alerts_are_not_mailed"]
    assert [one["level"] for one in said] == ["WARNING"]


def test_it_ends_when_its_lock_is_no_longer_that_of_the_folder(
    app: Flask, run: Callable[..., Any]
) -> None:
    plan = Plan()
    run(plan)
    wait_for(lambda: plan.done)
    Path(app.config["LOG_DIR"], LOCK_NAME).unlink()
    names = {thread.name for thread in threading.enumerate()}
    wait_for(lambda: "APScheduler" not in {one.name for one in threading.enumerate()})
    assert "APScheduler" in names


def test_without_its_folder_it_ends_when_the_store_has_what_it_holds(
    app: Flask, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shipper, away = shipper_for(app), threading.Event()
    ship, missed = shipper.ship_once, []

    def try_to_ship(seconds: float) -> int:
        if away.is_set():
            missed.append(seconds)
            raise StoreUnavailable("no route")
        return ship(seconds)

    monkeypatch.setattr(runner_module, "_LAST_PASS_SECONDS", 0.01)
    monkeypatch.setattr(shipper, "ship_once", try_to_ship)
    run(shipper)
    record_event("sample", "first", request_id="req-1")
    store = app.extensions["log_store"]
    wait_for(lambda: store.page(LogQuery(request_id="req-1")).records)
    away.set()
    # More than one batch, and no pass has time for two.
    for number in range(5000):
        record_event("unread", "read by nobody yet", request_id=f"req-2-{number}")
    shutil.rmtree(app.config["LOG_DIR"])
    tries = len(missed)
    # Two more are after the last pass.
    wait_for(lambda: len(missed) > tries + 2)
    assert not store.page(LogQuery(request_id="req-2-0")).records
    away.clear()
    wait_for(lambda: "the runner" not in {one.name for one in threading.enumerate()})
    assert store.counted(LogQuery(actions=("unread",)), (), ())[0].count == 5000


def test_a_status_that_cannot_be_written_is_said_once(
    app: Flask, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def full(*_: Any) -> None:
        tries.append(1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runner_module, "write_status", full)
    monkeypatch.setattr(runner_module, "_STATUS_EVERY", 0.01)
    run(Plan())
    wait_for(lambda: len(tries) > 3)
    said = [one for one in log_lines(app) if one["message"] == "runner_status_not_written"]
    assert [one["details"]["reason"] for one in said] == ["No space left on device"]
