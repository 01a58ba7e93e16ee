# ruff: noqa: PT012 - the block that raises is the operation itself.
import json
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

from app import db
from app.blueprints.admin import present
from app.cli.log_format import text_line
from app.models.outbox import OutboxRecord
from app.models.rate_limit import RateLimit
from app.models.types import utc_now
from app.observability import metrics, operations
from app.observability.log_context import bound
from app.observability.operations import operation
from app.services.errors import Conflict, Invalid
from tests import hostile
from tests.helpers import log_lines


def change(key: str = "any") -> None:
    """Change a row of any table."""
    db.session.add(RateLimit(key=key, hits=1, expires_at=utc_now()))


def changes() -> int:
    db.session.rollback()
    return db.session.query(RateLimit).count()


def outbox() -> list[dict[str, Any]]:
    rows = db.session.query(OutboxRecord).order_by(OutboxRecord.id).all()
    assert all(json.loads(row.record)["id"] == row.id for row in rows)
    return [json.loads(row.record) for row in rows]


def counted(status: str) -> float:
    value: float = metrics.item_operations_total.labels("sell", status)._value.get()
    return value


def test_a_success_is_committed_recorded_and_counted_once(app_context: Flask) -> None:
    before = counted("success")
    with (
        bound(request_id="r1", user_id="7"),
        operation("item_sell", target_type="item", colour="red") as op,
    ):
        change()
        op.target_id = 42
        op.details["price"] = 5
    (waiting,), (line,) = outbox(), log_lines(app_context)
    assert waiting == line
    assert (line["action"], line["outcome"], line["level"]) == ("item_sell", "success", "INFO")
    assert (line["target_type"], line["target_id"]) == ("item", "42")
    assert (line["request_id"], line["user_id"]) == ("r1", "7")
    assert line["details"] == {"colour": "red", "price": 5}
    assert line["duration_ms"] >= 0
    assert counted("success") - before == 1
    assert changes() == 1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(Conflict("stale"), "refused"), (LookupError("odd"), "failed"), (SystemExit(), "failed")],
)
def test_an_exception_undoes_everything_and_is_recorded_and_raised(
    app_context: Flask, error: BaseException, outcome: str
) -> None:
    before = counted(outcome)
    with pytest.raises(type(error)), operation("item_sell", target_id=42):
        change()
        db.session.flush()
        raise error
    assert not db.session().in_transaction()
    assert changes() == 0
    assert outbox() == []
    (line,) = log_lines(app_context)
    assert (line["outcome"], line["target_id"]) == (outcome, "42")
    assert line["details"] == {"reason": type(error).__name__}
    assert "exception" not in line
    assert counted(outcome) - before == 1


def test_a_refusal_says_why_field_by_field_also_of_those_whose_value_is_secret(
    app_context: Flask,
) -> None:
    errors = {"name": "Enter a name.", "password": "Use 10 to 128 characters."}
    with pytest.raises(Invalid), operation("item_sell"):
        raise Invalid(errors=errors)
    (line,) = log_lines(app_context)
    said = "name (Enter a name.); password (Use 10 to 128 characters.)"
    assert line["details"] == {"reason": "Invalid", "fields": said}
    assert said in present.summary(line)
    assert said in text_line(line)


def test_a_commit_that_fails_is_recorded_as_failed(
    app_context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        db.session.flush()
        raise OperationalError("COMMIT", {}, Exception("disk full"))

    with monkeypatch.context() as patched, pytest.raises(OperationalError):
        patched.setattr(db.session, "commit", broken, raising=False)
        with operation("item_sell"):
            change()
    assert changes() == 0
    assert outbox() == []
    assert [one["outcome"] for one in log_lines(app_context)] == ["failed"]


def test_a_row_that_the_database_refuses_at_commit_is_recorded_as_failed(
    app_context: Flask,
) -> None:
    with operation("item_sell"):
        change("same")
    with pytest.raises(IntegrityError), operation("item_sell"):
        change("same")
    assert [one["outcome"] for one in log_lines(app_context)] == ["success", "failed"]
    assert len(outbox()) == 1


def test_an_inner_operation_shares_the_outer_ones_commit(app_context: Flask) -> None:
    with operation("item_sell"):
        with operation("upload"):
            change()
        assert log_lines(app_context) == []
        with db.engine.connect() as other:
            assert other.execute(db.text("SELECT count(*) FROM outbox")).scalar_one() == 0
    assert [one["action"] for one in log_lines(app_context)] == ["upload", "item_sell"]
    assert [one["action"] for one in outbox()] == ["upload", "item_sell"]
    assert changes() == 1


def test_an_inner_operation_goes_with_the_outer_one(app_context: Flask) -> None:
    with pytest.raises(LookupError), operation("item_sell"):
        with operation("upload"):
            change()
        raise LookupError
    assert changes() == 0
    assert outbox() == []
    (line,) = log_lines(app_context)
    assert (line["action"], line["outcome"]) == ("item_sell", "failed")


def test_the_next_operation_stands_alone(app_context: Flask) -> None:
    with pytest.raises(LookupError), operation("item_sell"):
        raise LookupError
    with operation("item_sell"):
        change()
    assert changes() == 1


def test_a_rollback_that_fails_hides_neither_record_nor_exception(
    app_context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise SQLAlchemyError("the connection is gone")

    with monkeypatch.context() as patched, pytest.raises(LookupError):
        patched.setattr(db.session, "rollback", broken, raising=False)
        with operation("item_sell"):
            change()
            raise LookupError
    assert [one["outcome"] for one in log_lines(app_context)] == ["failed"]
    assert changes() == 0


def test_what_is_committed_is_no_failure_whatever_happens_to_its_line(
    app_context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(operations, "_publish", broken)
    with pytest.raises(RuntimeError), operation("item_sell"):
        change()
    assert changes() == 1
    assert len(outbox()) == 1
    assert log_lines(app_context) == []


@pytest.mark.parametrize("value", hostile.ODD, ids=lambda value: type(value).__name__)
def test_no_detail_stands_in_the_way_of_a_change(app_context: Flask, value: Any) -> None:
    with operation("item_sell", target_id=value, name=value):
        change()
    assert changes() == 1
    assert outbox() == log_lines(app_context)


@pytest.mark.settings(LOG_LEVEL="ERROR")
def test_an_operation_is_recorded_at_any_level(app_context: Flask) -> None:
    with operation("item_sell"):
        change()
    assert len(log_lines(app_context)) == 1
