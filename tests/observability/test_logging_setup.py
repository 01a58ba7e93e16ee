import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from flask import Flask

from app.observability.events import record_event
from app.observability.log_context import bound
from app.observability.log_handlers import LogFilesHandler
from app.observability.logging_setup import ConsoleHandler, setup_logging
from tests.helpers import ROOT, SECRET_KEY, log_lines, server_env

MakeApp = Callable[..., Flask]


def console(stream: io.StringIO) -> None:
    for handler in logging.getLogger().handlers:
        if isinstance(handler, ConsoleHandler):
            handler.setStream(stream)


@pytest.mark.settings(LOG_LEVEL="ERROR")
def test_events_reach_the_file_at_any_level_and_free_text_does_not(app: Flask) -> None:
    shown = io.StringIO()
    console(shown)
    logging.getLogger("shop").info("free")
    logging.getLogger("app.services").warning("free")
    record_event("sell", "sold")
    assert [one["message"] for one in log_lines(app)] == ["sold"]
    assert shown.getvalue() == ""


@pytest.mark.settings(LOG_LEVEL="WARNING", LOG_FORMAT="json")
def test_the_console_shows_what_the_level_lets_through(app: Flask) -> None:
    shown = io.StringIO()
    console(shown)
    logging.getLogger("shop").warning("free")
    record_event("sell", "sold")
    record_event("fail", "failed", level=logging.ERROR)
    lines = [json.loads(line) for line in shown.getvalue().splitlines()]
    assert [one["message"] for one in lines] == ["free", "failed"]
    assert [one["id"] for one in lines] == [
        one["id"] for one in log_lines(app) if one["message"] != "sold"
    ]


@pytest.mark.settings(LOG_FORMAT="json")
def test_samples_reach_the_file_and_not_the_console(app: Flask) -> None:
    shown = io.StringIO()
    console(shown)
    record_event("sample", "sample")
    record_event("sell", "sold")
    assert [json.loads(line)["action"] for line in shown.getvalue().splitlines()] == ["sell"]
    assert [one["action"] for one in log_lines(app)] == ["sample", "sell"]


@pytest.mark.settings(LOG_FORMAT="text")
def test_a_developers_console_is_readable(app: Flask) -> None:
    shown = io.StringIO()
    console(shown)
    with bound(request_id="r1"):
        logging.getLogger("shop").info("stock is low")
    assert shown.getvalue().split()[1:] == ["INFO", "shop:", "stock", "is", "low", "[r1]"]


@pytest.mark.parametrize(
    ("name", "level"),
    [("gunicorn.error", "INFO"), ("gunicorn.access", "INFO"), ("werkzeug", "INFO"),
     ("sqlalchemy.pool", "WARNING"), ("apscheduler.executors.default", "WARNING"),
     ("flask.app", "INFO"), ("py.warnings", "WARNING"), ("app", "INFO")],
)  # fmt: skip
def test_records_of_libraries_arrive_as_json_with_their_context(
    app: Flask, name: str, level: str
) -> None:
    with bound(request_id="r1"):
        logging.getLogger(name).log(logging.getLevelName(level), "told %s", "so")
    (found,) = [one for one in log_lines(app) if one["logger"] == name]
    assert (found["message"], found["level"], found["request_id"]) == ("told so", level, "r1")


def test_apscheduler_does_not_tell_of_each_run(app: Flask) -> None:
    logging.getLogger("apscheduler.executors.default").info("Running job")
    assert log_lines(app) == []


def test_the_development_servers_lines_are_plain_and_its_access_lines_dropped(app: Flask) -> None:
    log = logging.getLogger("werkzeug")
    log.info('127.0.0.1 - - [now] "%s" %s %s\n', "GET /?token=x", 200, "-")
    log.info("\x1b[33mPress CTRL+C to quit\x1b[0m")
    assert [one["message"] for one in log_lines(app)] == ["Press CTRL+C to quit"]


def test_the_debuggers_pin_is_for_the_terminal_alone(
    app: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    # As werkzeug.debug says it.
    logging.getLogger("werkzeug").info(" * Debugger PIN: %s", "123-456-789")
    assert capsys.readouterr().err == " * Debugger PIN: 123-456-789\n"
    assert log_lines(app) == []


def test_a_later_app_takes_over_and_nothing_is_written_twice(
    make_app: MakeApp, tmp_path: Path
) -> None:
    first = make_app()
    second = make_app(LOG_DIR=str(tmp_path / "other"))
    logging.getLogger("shop").info("once")
    assert [one["message"] for one in log_lines(second)] == ["once"]
    assert log_lines(first) == []
    ours = [h for h in logging.getLogger().handlers
            if isinstance(h, LogFilesHandler | ConsoleHandler)]  # fmt: skip
    assert len(ours) == 2
    setup_logging(first)
    logging.getLogger("shop").info("again")
    assert [one["message"] for one in log_lines(first)] == ["again"]


def test_secrets_of_the_settings_are_masked_everywhere(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(
        METRICS_TOKEN="metrics-canary-1", SMTP_PASSWORD="smtp/canary 2",
        LOG_STORE_URL=f"sqlite:///{tmp_path / 'l.db'}",
    )  # fmt: skip
    app.config["DATABASE_URL"] = "postgresql+psycopg://u:p%40ss-canary@host/name"
    app.config["DATABASE_URL"] += "?password=query-canary"
    app.config["RATE_LIMIT_STORAGE_URL"] = "redis://:limit-canary@host:6379/0"
    app.config["LOG_STORE_URL"] = "mongodb+srv://u:mongo%2Fcanary@a:1,b:2/name?replicaSet=r"
    setup_logging(app)
    logging.getLogger("shop").info(
        "%s %s", SECRET_KEY, "metrics-canary-1",
        extra={"a": ["smtp/canary 2", "smtp%2Fcanary+2"], "b": "p@ss-canary p%40ss-canary",
               "c": "mongo/canary mongo%2Fcanary", "d": "query-canary limit-canary"},
    )  # fmt: skip
    text = (Path(app.config["LOG_DIR"]) / "app.log").read_text()
    assert "canary" not in text
    assert SECRET_KEY not in text


def test_a_handler_that_fails_prints_no_arguments(
    app: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    console(Gone())
    logging.getLogger("shop").info("told %s", "argument-1")
    assert "argument-1" not in capsys.readouterr().err
    assert log_lines(app)[-1]["message"] == "told argument-1"


def as_command(work: Callable[[], None]) -> None:
    with click.Context(click.Command("any")):
        work()


@pytest.mark.parametrize("exists", [True, False])
def test_a_command_of_another_user_creates_and_rotates_nothing(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    """Another user's folder, seen by root; without its log files, and with them."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    app = make_app(LOG_FILE_MAX_BYTES=4096)
    owned = tmp_path / "owned"
    owned.mkdir()
    os.chown(owned, 12345, 12345)
    logs = owned / "logs"
    app.config["LOG_DIR"] = str(logs)
    if exists:
        logs.mkdir()
        (logs / "app.log").touch()
        os.chown(logs, 12345, 12345)
    as_command(lambda: setup_logging(app))
    for _ in range(40):
        logging.getLogger("shop").info("x" * 300)
    if exists:
        assert [one.name for one in logs.iterdir()] == ["app.log"]
        assert len(log_lines(app)) == 40
    else:
        assert not logs.exists()


def test_a_command_of_the_apps_own_user_creates_its_files(make_app: MakeApp) -> None:
    app = make_app()
    as_command(lambda: setup_logging(app))
    logging.getLogger("shop").info("mine")
    assert [one["message"] for one in log_lines(app)] == ["mine"]


@pytest.mark.parametrize("folder_exists", [True, False])
def test_a_real_command_as_root_leaves_the_apps_folder_alone(
    tmp_path: Path, folder_exists: bool
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    home = tmp_path / "home"
    home.mkdir()
    if folder_exists:
        (home / "logs").mkdir()
        os.chown(home / "logs", 12345, 12345)
    os.chown(home, 12345, 12345)
    env = server_env(tmp_path, LOG_DIR=str(home / "logs"))
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "routes"],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not list((home / "logs").glob("*"))


def test_the_werkzeug_filter_takes_any_message(app: Flask) -> None:
    odd: Any = ValueError("odd")
    logging.getLogger("werkzeug").error(odd)
    assert log_lines(app)[-1]["message"] == "odd"
