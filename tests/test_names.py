"""The names that existing users know import from their paths and work."""

import json
import logging
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app, db
from app.alerting import check_error_rate, send_alert
from app.models.log import Log
from app.observability.log_context import ContextLogger
from app.observability.log_formatters import JSONFormatter
from app.observability.logging_setup import setup_logging
from app.observability.metrics import item_operations_total
from app.services import email_service
from app.services.log_service import get_error_summary, get_failed_logins
from tests.conftest import Mailbox
from tests.helpers import log_lines

LINE = logging.LogRecord("shop", logging.INFO, "", 0, "hello", (), None)


def test_create_app_and_db_come_from_app(app: Flask) -> None:
    with app.app_context():
        assert db.session.execute(db.text("SELECT 1")).scalar_one() == 1
    assert callable(create_app)


def test_log_has_the_known_columns_and_can_be_queried(app_context: Flask) -> None:
    assert {"action", "timestamp", "level", "message", "user_id"} <= set(
        Log.__table__.columns.keys()
    )
    assert Log.query.filter(Log.action == "login").all() == []


@pytest.mark.settings(LOG_LEVEL="WARNING")
def test_setup_logging_writes_json_lines_to_app_log(app: Flask) -> None:
    setup_logging(app)
    logging.getLogger("shop").warning("stock is low")
    assert log_lines(app)[-1]["message"] == "stock is low"


def test_json_formatter_formats_one_object() -> None:
    assert json.loads(JSONFormatter().format(LINE))["message"] == "hello"


def test_context_logger_adds_its_context(app: Flask) -> None:
    logger = ContextLogger(
        logging.getLogger("shop"), {"user_id": 7, "item_id": 42, "action": "sell"}
    )
    logger.info("sold")
    record = log_lines(app, "sell")[-1]
    assert (record["user_id"], record["details"]["item_id"]) == ("7", 42)


def test_context_logger_error_adds_the_exception_only_inside_an_except(app: Flask) -> None:
    logger = ContextLogger(logging.getLogger("shop"), {})
    logger.error("outside")
    try:
        raise ValueError("inside")
    except ValueError:
        logger.error("inside")
    outside, inside = log_lines(app)[-2:]
    assert "exception" not in outside
    assert inside["exception"]["type"] == "ValueError"


def test_send_email_reaches_a_server(make_app, smtp_server: Mailbox) -> None:  # type: ignore[no-untyped-def]
    app = make_app(SMTP_HOST=smtp_server.host, SMTP_PORT=smtp_server.port)
    with app.app_context():
        assert email_service.send_email(recipients=["a@example.com"], subject="Hi", body="There")
    assert smtp_server.messages[0]["Subject"] == "Hi"


def test_send_alert_marks_critical_ones_in_the_subject(make_app, smtp_server: Mailbox) -> None:  # type: ignore[no-untyped-def]
    app = make_app(
        SMTP_HOST=smtp_server.host, SMTP_PORT=smtp_server.port, ALERT_RECIPIENTS="ops@example.com"
    )
    with app.app_context():
        send_alert("Disk", "It is full.", severity="critical")
    assert smtp_server.messages[0]["Subject"].startswith("[CRITICAL]")


def test_error_questions_answer_on_an_empty_store(app_context: Flask) -> None:
    assert check_error_rate() == 0
    assert list(get_error_summary(hours=24)) == []
    assert list(get_failed_logins(hours=24)) == []


def test_item_operations_total_is_exposed(client: FlaskClient) -> None:
    item_operations_total.labels(operation="create", status="success").inc()
    assert "item_operations_total{" in client.get("/metrics").get_data(as_text=True)


def test_health_metrics_and_the_request_id_answer(client: FlaskClient) -> None:
    answer = client.get("/health", headers={"X-Request-ID": "known-1"})
    assert answer.headers["X-Request-ID"] == "known-1"
    assert set(answer.json["checks"]) >= {"database", "uploads", "disk_space"}


def test_the_known_settings_are_settings(app: Flask) -> None:
    assert {"LOG_LEVEL", "UPLOAD_FOLDER", "SENTRY_DSN"} <= set(app.config)
    assert Path(app.config["UPLOAD_FOLDER"]).is_absolute()
