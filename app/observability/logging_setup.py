"""Set up logging: levels and handlers, once per process."""

import logging
import os
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import click
from flask import Flask
from sqlalchemy import make_url

from app.observability.log_formatters import JSONFormatter, TextFormatter
from app.observability.log_handlers import LogFilesHandler
from app.observability.log_redaction import add_secret, is_sensitive
from config import SETTINGS

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class ConsoleHandler(logging.StreamHandler[Any]):
    """Write to stderr; a console that has gone away is no reason to fail."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def filter(self, record: logging.LogRecord) -> bool:
        # One a minute from each process is for charts; it would bury what a person reads along.
        return False if getattr(record, "action", None) == "sample" else super().filter(record)

    def emit(self, record: logging.LogRecord) -> None:
        # Python flushes stderr at each line by itself.
        try:
            self.stream.write(self.format(record) + self.terminator)
        except Exception:  # noqa: BLE001 - logging may not raise into a request
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Stay silent: the file has the record, and stdlib's answer would print its arguments."""


def setup_logging(app: Flask) -> None:
    """Send every record of this process to the console and to the files in LOG_DIR.

    LOG_LEVEL gates free-form records and the console; events always reach the files. Handlers
    of an earlier application in this process are replaced.
    """
    config = app.config
    logging.raiseExceptions = False
    find_out_less()
    _learn_secrets(config)
    formatter = JSONFormatter(config["RELEASE"], config["LOG_LINE_MAX_BYTES"])
    log_dir = Path(config["LOG_DIR"])
    files = LogFilesHandler(
        log_dir,
        formatter,
        max_bytes=config["LOG_FILE_MAX_BYTES"],
        backup_count=config["LOG_FILE_BACKUP_COUNT"],
        spool_max_bytes=config["LOG_SPOOL_MAX_BYTES"],
        may_create=not _is_foreign_command(log_dir),
    )
    console = ConsoleHandler()
    console.setLevel(config["LOG_LEVEL"])
    console.setFormatter(formatter if config["LOG_FORMAT"] == "json" else TextFormatter())
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, LogFilesHandler | ConsoleHandler)]:
        root.removeHandler(handler)
        handler.close()
    root.addHandler(files)
    root.addHandler(console)
    _set_levels(config["LOG_LEVEL"])


def find_out_less() -> None:
    """Have logging leave out what no record of ours says, as its documentation advises.

    The line that logged and its thread cost a fifth of a record. To have `%(lineno)d` in a format
    of your own, delete this.
    """
    logging._srcfile = None
    for name in ("logThreads", "logMultiprocessing", "logAsyncioTasks"):
        setattr(logging, name, False)


def _set_levels(level: str) -> None:
    logging.getLogger().setLevel(level)
    # Flask would lower this one to DEBUG in debug mode.
    logging.getLogger("app").setLevel(level)
    logging.getLogger("app.events").setLevel(logging.INFO)
    # It logs two lines for each run of each job.
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    for name in ("gunicorn.error", "gunicorn.access", "werkzeug"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("werkzeug").setLevel(logging.INFO)
    logging.getLogger("werkzeug").addFilter(_tidy_werkzeug)


def _tidy_werkzeug(record: logging.LogRecord) -> bool:
    """Drop the development server's access lines; take colours out of its other ones."""
    text = str(record.msg)
    if "Debugger PIN: " in text:
        # For whoever sits at this terminal, and for no log, where it would be masked.
        click.echo(record.getMessage(), err=True)
        return False
    record.msg = " ".join(_ANSI.sub("", text).split())
    # The request record says it better, and without the query string's secrets.
    return '"%s" %s %s' not in text


def _is_foreign_command(log_dir: Path) -> bool:
    """Tell whether this is a command run by another user than the one whose logs these are."""
    if click.get_current_context(silent=True) is None:
        return False
    if log_dir.exists():
        return log_dir.stat().st_uid != os.geteuid()
    # Still to be made: root may make it among its own folders only.
    parent = next(folder for folder in log_dir.absolute().parents if folder.exists())
    return os.geteuid() == 0 and parent.stat().st_uid != 0


def _learn_secrets(config: Any) -> None:
    for setting in SETTINGS:
        value = str(config[setting.name] or "") if setting.secret else ""
        for secret in _passwords(value) if setting.name.endswith("_URL") else [value]:
            add_secret(secret)


def _passwords(url: str) -> list[str]:
    """Return the passwords in an address; one of MongoDB may name several hosts."""
    found = [value for key, value in parse_qsl(url.partition("?")[2]) if is_sensitive(key)]
    if url.startswith(("sqlite", "postgres")):
        return [*found, str(make_url(url).password or "")]
    before_hosts = re.split(r"[/?]", url.partition("://")[2])[0].rpartition("@")[0]
    return [*found, unquote_plus(before_hosts.partition(":")[2])]
