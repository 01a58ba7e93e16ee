"""The handler that writes every record to app.log, and errors to error.log as well."""

import contextlib
import logging
import sys
from functools import lru_cache
from pathlib import Path

from prometheus_client import Counter

from app.observability import metrics
from app.observability.log_file import AppendOnlyFile
from app.observability.log_formatters import JSONFormatter
from app.observability.log_spool import drop, prune, shipped_through

log = logging.getLogger(__name__)


class LogFilesHandler(logging.Handler):
    """Write records as JSON lines under `log_dir`; never raises into the caller.

    A line that the disk refuses goes to stderr and is counted in
    `log_records_dropped_total`.
    """

    def __init__(
        self,
        log_dir: Path,
        formatter: JSONFormatter,
        *,
        max_bytes: int = 10_485_760,
        backup_count: int = 10,
        spool_max_bytes: int = 1_073_741_824,
        may_create: bool = True,
    ) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._line = formatter.line
        self._backup_count = backup_count
        self._spool_max_bytes = spool_max_bytes
        self._trouble: str | None = None
        self._lost: list[int] = []
        self.everything = AppendOnlyFile(
            log_dir / "app.log", max_bytes, may_create=may_create,
            on_rotate=self._prune_everything, on_trouble=self._say_trouble,
        )  # fmt: skip
        self.errors = AppendOnlyFile(
            log_dir / "error.log", max_bytes, may_create=may_create,
            on_rotate=self._prune_errors, on_trouble=self._say_trouble,
        )  # fmt: skip

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a record, without the lock that the files do not need."""
        if self.filters:
            return super().handle(record)
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        line = b""
        try:
            line = self._line(record)
            self.everything.write(line)
        except Exception as error:  # noqa: BLE001 - logging may not raise into a request
            _report_loss(record, line, error)
            return
        _count(metrics.log_records_total, record.levelname)
        if record.levelno >= logging.ERROR:
            try:
                self.errors.write(line)
            except OSError as error:
                _say(f"error.log cannot be written ({error.strerror}); app.log has the record\n")
        if self._lost:
            self._tell_lost()

    def close(self) -> None:
        self.everything.close()
        self.errors.close()
        super().close()

    def _prune_everything(self) -> None:
        path = self.everything.path
        shipped = shipped_through(path.parent)
        prune(path, self._backup_count, shipped)
        # The runner does this first, if there is one: it knows better what is not stored yet.
        lost = drop(path, shipped, self._spool_max_bytes * 11 // 10)
        if lost:
            self._lost.append(lost)
            _say(f"{lost} log lines were never stored and had to go: LOG_SPOOL_MAX_BYTES reached\n")

    def _tell_lost(self) -> None:
        # Not where it is found out: that is in the middle of another line.
        with contextlib.suppress(IndexError):
            lost = self._lost.pop()
            log.warning("Log lines were deleted unshipped", extra={"details": {"lines": lost}})

    def _prune_errors(self) -> None:
        prune(self.errors.path, self._backup_count)

    def _say_trouble(self, error: OSError) -> None:
        reason = f"{error.filename or self.everything.path.parent} ({error.strerror})"
        if reason != self._trouble:
            self._trouble = reason
            _say(f"the log files cannot be rotated and go on growing: {reason}\n")


def _report_loss(record: logging.LogRecord, line: bytes, error: Exception) -> None:
    reason = "write_failed" if isinstance(error, OSError) else "format_failed"
    if not getattr(record, "in_outbox", False):
        _count(metrics.log_records_dropped_total, reason)
    # The unformatted record may hold secrets: without a line only its origin is named.
    _say(line.decode() or f"a {record.levelname} record of {record.name} could not be formatted\n")


def _count(counter: Counter, label: str) -> None:
    try:
        _series(counter, label).inc()
    except Exception as error:  # noqa: BLE001 - a full disk stops the counters too
        _say(f"a log record could not be counted ({type(error).__name__})\n")


# Finding it takes longer than counting.
@lru_cache(maxsize=64)
def _series(counter: Counter, label: str) -> Counter:
    return counter.labels(label)


def _say(text: str) -> None:
    try:
        sys.stderr.write(text)
    except (OSError, ValueError, AttributeError):
        # There is no other place left; the counter has the loss.
        return
