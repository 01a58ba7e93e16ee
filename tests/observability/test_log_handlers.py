import contextlib
import json
import logging
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.observability import metrics
from app.observability.log_formatters import JSONFormatter
from app.observability.log_handlers import LogFilesHandler
from app.observability.log_spool import dropped_lines, rotated
from app.observability.operations import operation
from tests import hostile
from tests.helpers import log_lines, read_lines

MakeHandler = Callable[..., LogFilesHandler]


@pytest.fixture
def make_handler(tmp_path: Path) -> Iterator[MakeHandler]:
    made: list[LogFilesHandler] = []

    def make(**options: Any) -> LogFilesHandler:
        handler = LogFilesHandler(tmp_path / "logs", JSONFormatter(), **options)
        made.append(handler)
        return handler

    yield make
    for handler in made:
        handler.close()


def counted(counter: Any, label: str) -> float:
    value: float = counter.labels(label)._value.get()
    return value


def record(message: str = "hello", level: int = logging.INFO) -> logging.LogRecord:
    return logging.getLogger("shop").makeRecord("shop", level, "", 0, message, (), None)


def test_a_handler_has_a_lock_to_take_as_logging_does_from_python_3_13_on(
    make_handler: MakeHandler,
) -> None:
    handler = make_handler()
    with handler.lock:  # type: ignore[union-attr]
        handler.acquire()
        handler.handle(record())
        handler.release()


def test_everything_is_in_app_log_and_errors_in_error_log_too(
    make_handler: MakeHandler, tmp_path: Path
) -> None:
    handler = make_handler()
    before = counted(metrics.log_records_total, "ERROR")
    handler.handle(record("fine"))
    handler.handle(record("broken", logging.ERROR))
    handler.handle(record("worse", logging.CRITICAL))
    everything = read_lines(tmp_path / "logs/app.log")
    assert [one["message"] for one in everything] == ["fine", "broken", "worse"]
    assert read_lines(tmp_path / "logs/error.log") == everything[1:]
    assert counted(metrics.log_records_total, "ERROR") - before == 1


def test_lines_that_had_to_go_are_told_in_the_log_itself(
    make_handler: MakeHandler, tmp_path: Path
) -> None:
    handler = make_handler(max_bytes=4096, spool_max_bytes=10_000)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        for number in range(200):
            handler.handle(record(f"line {number}"))
    finally:
        root.removeHandler(handler)
    kept = [*rotated(tmp_path / "logs/app.log"), tmp_path / "logs/app.log"]
    told = [
        one
        for path in kept
        for one in read_lines(path)
        if one["message"] == "Log lines were deleted unshipped"
    ]
    assert {one["level"] for one in told} == {"WARNING"}
    assert told[-1]["details"]["lines"] > 0


def test_both_files_rotate_and_keep_so_many(make_handler: MakeHandler, tmp_path: Path) -> None:
    handler = make_handler(max_bytes=1000, backup_count=3, spool_max_bytes=4000)
    for number in range(60):
        handler.handle(record(f"error {number}", logging.ERROR))
    errors = tmp_path / "logs/error.log"
    assert len(rotated(errors)) == 3
    # Nobody ships here: unshipped segments of app.log stay up to the spool, the rest is counted.
    kept = [*rotated(tmp_path / "logs/app.log"), tmp_path / "logs/app.log"]
    found = sum(len(read_lines(one)) for one in kept)
    lost = dropped_lines(tmp_path / "logs")
    assert found + lost == 60
    assert lost > 0
    assert len(kept) > 3


def test_a_full_disk_is_counted_said_and_never_raised(
    make_handler: MakeHandler, tmp_path: Path
) -> None:
    handler = make_handler()
    handler.handle(record("before"))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        sys.stderr = os.fdopen(write, "w", buffering=1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
        before = counted(metrics.log_records_dropped_total, "write_failed")
        for _ in range(3):
            handler.handle(record("lost", logging.ERROR))
        os._exit(int(counted(metrics.log_records_dropped_total, "write_failed") - before))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(write)
    said = os.read(read, 65536).decode()
    os.close(read)
    assert status == 3
    assert [json.loads(line)["message"] for line in said.splitlines()] == ["lost"] * 3
    handler.handle(record("after"))
    messages = [one["message"] for one in read_lines(tmp_path / "logs/app.log")]
    assert messages == ["before", "after"]


def test_a_record_that_error_log_refuses_is_not_lost(
    make_handler: MakeHandler, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = make_handler()
    (tmp_path / "logs/error.log").mkdir(parents=True)
    before = counted(metrics.log_records_dropped_total, "write_failed")
    handler.handle(record("broken", logging.ERROR))
    assert [one["message"] for one in read_lines(tmp_path / "logs/app.log")] == ["broken"]
    assert counted(metrics.log_records_dropped_total, "write_failed") == before
    assert "error.log cannot be written" in capsys.readouterr().err


def test_a_rotation_that_fails_is_said_once_and_loses_nothing(
    make_handler: MakeHandler, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = make_handler(max_bytes=100)
    (tmp_path / "logs/.app.log.lock").mkdir(parents=True)
    before = counted(metrics.log_records_dropped_total, "write_failed")
    for _ in range(3):
        handler.handle(record())
    assert len(read_lines(tmp_path / "logs/app.log")) == 3
    assert counted(metrics.log_records_dropped_total, "write_failed") == before
    (said,) = capsys.readouterr().err.splitlines()
    assert "cannot be rotated" in said


def test_a_counter_that_fails_costs_no_record(
    make_handler: MakeHandler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def labels(self, _label: str) -> Any:
            raise OSError("no space left on device")

    monkeypatch.setattr(metrics, "log_records_total", Full())
    monkeypatch.setattr(metrics, "log_records_dropped_total", Full())
    make_handler().handle(record("broken", logging.ERROR))
    assert len(read_lines(tmp_path / "logs/app.log")) == 1
    assert len(read_lines(tmp_path / "logs/error.log")) == 1


@pytest.mark.parametrize("gone", [True, False])
def test_without_a_stderr_a_loss_is_still_no_failure(
    make_handler: MakeHandler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    (tmp_path / "logs").write_text("a file, and no folder")
    closed = (tmp_path / "closed").open("w")
    closed.close()
    monkeypatch.setattr("sys.stderr", None if gone else closed)
    before = counted(metrics.log_records_dropped_total, "write_failed")
    make_handler().handle(record())
    assert counted(metrics.log_records_dropped_total, "write_failed") - before == 1


@pytest.mark.parametrize("value", hostile.ODD, ids=lambda value: type(value).__name__)
def test_logging_an_odd_value_never_raises_and_is_never_lost(app: Flask, value: Any) -> None:
    log = logging.getLogger("shop")
    before = counted(metrics.log_records_dropped_total, "format_failed")
    log.warning(value)
    log.warning("%s %d", value, value)
    log.warning("one", extra={"truncated": value, "details": value, "status": value})
    assert counted(metrics.log_records_dropped_total, "format_failed") == before
    lines = [one for one in log_lines(app) if one["logger"] == "shop"]
    assert len(lines) == 3


@pytest.fixture
def without_a_disk(app: Flask, client: FlaskClient) -> Iterator[FlaskClient]:
    """An app that runs while LOG_DIR turns into something that takes no file."""
    client.get("/items")
    folder = Path(app.config["LOG_DIR"])
    shutil.rmtree(folder)
    folder.touch()
    yield client
    folder.unlink()


def test_a_request_succeeds_when_nothing_can_be_logged(without_a_disk: FlaskClient) -> None:
    before = counted(metrics.log_records_dropped_total, "write_failed")
    assert without_a_disk.get("/items").status_code == 200
    assert counted(metrics.log_records_dropped_total, "write_failed") - before == 1


def test_a_record_that_stands_in_the_outbox_is_not_lost(without_a_disk: FlaskClient) -> None:
    app = without_a_disk.application
    before = counted(metrics.log_records_dropped_total, "write_failed")
    with app.app_context(), operation("item_count"):
        pass
    assert counted(metrics.log_records_dropped_total, "write_failed") == before
    with app.app_context(), contextlib.suppress(KeyError), operation("item_count"):
        raise KeyError
    assert counted(metrics.log_records_dropped_total, "write_failed") == before + 1


def test_a_log_folder_removed_while_running_is_made_anew(app: Flask, client: FlaskClient) -> None:
    client.get("/items")
    shutil.rmtree(app.config["LOG_DIR"])
    assert client.get("/items").status_code == 200
    assert [one["path"] for one in log_lines(app, "request")] == ["/items"]
