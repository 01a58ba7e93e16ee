"""How an alert reaches a person: a mail that tells at 3 a.m. what to do."""

import logging
import socket
from datetime import UTC, datetime

from flask import current_app

from app.observability.events import record_error, record_event
from app.observability.log_redaction import redact_text
from app.services import alert_service, email_service

log = logging.getLogger(__name__)

CRITICAL, WARNING = "critical", "warning"

_BODY = """\
{message}

What to do next
  In a browser, as an administrator of this site:
    {errors}
  Or in the application's folder:
    flask --app wsgi logs errors --since 1h

When      {now}
Where     {host}, {environment}, release {release}
Severity  {severity}
"""


def send_alert(subject: str, message: str, severity: str = WARNING) -> bool:
    """Mail an alert to ALERT_RECIPIENTS; return True when the mail server took it.

    The subject starts with `[CRITICAL]` or `[WARNING]`; a severity that is neither counts as a
    warning. Secrets are masked. Records `alert_firing`; a mail that could not go is recorded
    as well, and nothing is raised.
    """
    try:
        severity = CRITICAL if str(severity).lower() == CRITICAL else WARNING
        subject = redact_text(str(subject))
        sent = email_service.send_email(
            recipients=current_app.config["ALERT_RECIPIENTS"],
            subject=f"[{severity.upper()}] {subject}",
            body=redact_text(_body(str(message), severity)),
        )
        record_event(
            "alert_firing",
            "alert firing",
            level=logging.WARNING,
            details={"subject": subject, "severity": severity, "mailed": sent},
        )
    except Exception as error:  # noqa: BLE001 - who reports a problem may not become one
        record_error(error, details={"operation": "send_alert"})
        return False
    return sent


def link(path: str) -> str:
    """Return the address of a page of this site; without PUBLIC_URL only its path is known."""
    return str(current_app.config["PUBLIC_URL"]).rstrip("/") + path


def say_if_nobody_is_told() -> None:
    """Warn in one line, at the start, that alerts are recorded and mailed to nobody."""
    if missing := alert_service.missing_settings():
        log.warning("alerts_are_not_mailed", extra={"not_set": ", ".join(missing)})


def _body(message: str, severity: str) -> str:
    config = current_app.config
    return _BODY.format(
        message=message.strip(),
        errors=link("/admin/logs?q=level:%3E%3Derror&range=1h"),
        now=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        host=socket.gethostname(),
        environment=config["APP_ENV"],
        release=config["RELEASE"],
        severity=severity,
    )
