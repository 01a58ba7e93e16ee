"""One business operation = one transaction, one record, one count."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert
from sqlalchemy.exc import SQLAlchemyError

from app.extensions import db
from app.models.outbox import OutboxRecord
from app.observability import metrics
from app.observability.ids import new_id
from app.observability.log_context import safe_extra
from app.observability.log_formatters import JSONFormatter

_events = logging.getLogger("app.events")


@dataclass
class Operation:
    """What the record of an operation will say; change it inside the `with` block."""

    action: str
    target_type: str | None = None
    target_id: Any = None
    details: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)
    # Finished operations inside this one, in the order of their end; they share its commit.
    inner: list["Operation"] = field(default_factory=list)
    duration_ms: float = 0.0

    def finish(self) -> None:
        self.duration_ms = round((time.perf_counter() - self.started) * 1000, 3)


_current: ContextVar[Operation | None] = ContextVar("operation", default=None)


@contextmanager
def operation(
    action: str, *, target_type: str | None = None, target_id: Any = None, **details: Any
) -> Iterator[Operation]:
    """Run a block as one business operation: commit it and record it, or undo it and record that.

    On success the record goes into the outbox in the block's own transaction, and the same line
    into the log file after the commit. An exception rolls back, is recorded with the outcome
    `refused` (its `status` is below 500; its `errors`, if it has any, are the details' `fields`) or
    `failed`, and is raised again. An operation inside another one takes part in the outer one's
    transaction.
    """
    outer = _current.get()
    this = Operation(action, target_type, target_id, dict(details))
    committed: list[tuple[Operation, logging.LogRecord]] = []
    token = _current.set(this)
    try:
        yield this
        this.finish()
        if outer is None:
            committed = _commit([*this.inner, this])
        else:
            outer.inner += [*this.inner, this]
    except BaseException as exc:
        this.finish()
        if outer is None:
            _roll_back()
        _record_failure(this, exc)
        raise
    finally:
        _current.reset(token)
    # Outside the `try`: what is committed is no failure, whatever happens to its line.
    for one, record in committed:
        _publish(one, record, "success")


def _commit(operations: list[Operation]) -> list[tuple[Operation, logging.LogRecord]]:
    records = [_make_record(one, "success") for one in operations]
    formatter = _formatter()
    rows = [{"id": vars(one)["id"], "record": formatter.format(one)} for one in records]
    # Rows, not objects that the session would have to keep; with the changes, all or nothing.
    db.session.execute(insert(OutboxRecord.__table__), rows)
    for record in records:
        # A line that cannot be written later is then not lost.
        record.in_outbox = True
    db.session.commit()
    return list(zip(operations, records, strict=True))


def _roll_back() -> None:
    try:
        db.session.rollback()
    except SQLAlchemyError:
        # The connection is gone, and with it the transaction. The failure is still to be told.
        db.session().invalidate()


def _record_failure(this: Operation, exc: BaseException) -> None:
    status = getattr(exc, "status", None)
    outcome = "refused" if isinstance(status, int) and status < 500 else "failed"
    this.details.setdefault("reason", type(exc).__name__)
    if errors := getattr(exc, "errors", None) if outcome == "refused" else None:
        this.details.setdefault("fields", _why(errors))
    _publish(this, _make_record(this, outcome), outcome)


def _why(errors: Mapping[str, str]) -> str:
    """Return which fields were refused and what was said of each.

    A text, which pages show in a row; and not `name: why`, for what follows "password:" is masked.
    """
    return "; ".join(f"{name} ({said})" for name, said in errors.items())


def _make_record(this: Operation, outcome: str) -> logging.LogRecord:
    extra = safe_extra({
        "id": new_id(),
        "action": this.action,
        "target_type": this.target_type,
        "target_id": this.target_id,
        "outcome": outcome,
        "duration_ms": this.duration_ms,
        "details": this.details,
    })  # fmt: skip
    return _events.makeRecord(_events.name, logging.INFO, "", 0, this.action, (), None, extra=extra)


def _publish(this: Operation, record: logging.LogRecord, outcome: str) -> None:
    _events.handle(record)
    prefix, _, name = this.action.partition("_")
    if prefix == "item":
        metrics.item_operations_total.labels(operation=name, status=outcome).inc()


def _formatter() -> JSONFormatter:
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, JSONFormatter):
            return handler.formatter
    return JSONFormatter()
