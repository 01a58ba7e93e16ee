from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.alerting.notifiers import say_if_nobody_is_told, send_alert
from app.observability.log_redaction import add_secret
from app.services import alert_service, email_service
from tests.helpers import free_port, log_lines


@pytest.fixture
def alerting_app(make_app: Callable[..., Flask], smtp_server: Any) -> Iterator[Flask]:
    app = make_app(
        SMTP_HOST=smtp_server.host, SMTP_PORT=smtp_server.port,
        ALERT_RECIPIENTS=["ops@example.com", "boss@example.com"],
    )  # fmt: skip
    with app.app_context():
        yield app


@pytest.mark.parametrize(
    ("severity", "start"),
    [
        ("critical", "[CRITICAL] "), ("CRITICAL", "[CRITICAL] "), ("warning", "[WARNING] "),
        ("nonsense", "[WARNING] "), (None, "[WARNING] "),
    ],
)  # fmt: skip
def test_the_subject_starts_with_the_severity(
    alerting_app: Flask, smtp_server: Any, severity: Any, start: str
) -> None:
    assert send_alert("Disk is full", "No room.", severity) is True
    (message,) = smtp_server.messages
    assert message["Subject"] == f"{start}Disk is full"
    assert [one.addr_spec for one in message["To"].addresses] == [
        "ops@example.com", "boss@example.com",
    ]  # fmt: skip


def test_an_alert_is_a_warning_by_default(alerting_app: Flask, smtp_server: Any) -> None:
    send_alert("Disk is full", "No room.")
    assert smtp_server.messages[0]["Subject"] == "[WARNING] Disk is full"


def test_the_mail_says_what_happened_where_when_and_what_to_do(
    alerting_app: Flask, smtp_server: Any
) -> None:
    send_alert("Disk is full", "No room on /var.", "critical")
    lines = smtp_server.messages[0].get_content().splitlines()
    assert lines[0] == "No room on /var."
    labels = dict(line.split("  ", 1) for line in lines if line[:5] in {"When ", "Where", "Sever"})
    assert labels["When"].strip().endswith("UTC")
    assert labels["Severity"] == "critical"
    assert "testing" in labels["Where"].split(", ")[1]
    advice = lines[lines.index("What to do next") :]
    assert "    /admin/logs?q=level:%3E%3Derror&range=1h" in advice
    assert "    flask --app wsgi logs errors --since 1h" in advice


def test_an_alert_is_an_event(alerting_app: Flask, smtp_server: Any) -> None:
    send_alert("Disk is full", "No room.", "critical")
    (event,) = log_lines(alerting_app, "alert_firing")
    assert event["level"] == "WARNING"
    assert event["details"] == {"subject": "Disk is full", "severity": "critical", "mailed": True}


def test_a_secret_reaches_neither_mail_nor_log(alerting_app: Flask, smtp_server: Any) -> None:
    add_secret("canary-4711-secret")
    send_alert("It said canary-4711-secret", "password=hunter22 and canary-4711-secret")
    mail = smtp_server.messages[0].as_string()
    logged = Path(alerting_app.config["LOG_DIR"], "app.log").read_text()
    for text in (mail, logged):
        assert "canary-4711-secret" not in text
        assert "hunter22" not in text


def test_a_line_break_in_the_subject_adds_no_header(alerting_app: Flask, smtp_server: Any) -> None:
    assert send_alert("Disk\r\nBcc: evil@example.com", "No room.")
    assert smtp_server.messages[0]["Bcc"] is None


def test_a_mail_that_cannot_go_is_recorded_and_not_raised(alerting_app: Flask) -> None:
    alerting_app.config["SMTP_PORT"] = free_port()
    assert send_alert("Disk is full", "No room.") is False
    assert len(log_lines(alerting_app, "email_failed")) == 1
    (event,) = log_lines(alerting_app, "alert_firing")
    assert event["details"]["mailed"] is False


def test_a_failure_of_its_own_is_recorded_and_not_raised(
    alerting_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> bool:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(email_service, "send_email", fail)
    assert send_alert("Disk is full", "No room.") is False
    (error,) = log_lines(alerting_app, "error")
    assert error["exception"]["type"] == "RuntimeError"


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({}, []),
        ({"SMTP_HOST": ""}, ["SMTP_HOST"]),
        ({"ALERT_RECIPIENTS": []}, ["ALERT_RECIPIENTS"]),
        ({"SMTP_HOST": "", "ALERT_RECIPIENTS": []}, ["SMTP_HOST", "ALERT_RECIPIENTS"]),
    ],
)
def test_what_is_missing_is_said_at_start_in_one_warning(
    alerting_app: Flask, settings: dict[str, Any], missing: list[str]
) -> None:
    alerting_app.config.update(settings)
    assert alert_service.missing_settings() == missing
    say_if_nobody_is_told()
    warnings = [one for one in log_lines(alerting_app) if one["level"] == "WARNING"]
    assert [one["details"]["not_set"] for one in warnings] == (
        [", ".join(missing)] if missing else []
    )
