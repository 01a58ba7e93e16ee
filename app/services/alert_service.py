"""What the alert pages show: each rule with its state, and what was told to whom."""

from typing import Any

from flask import current_app

from app.services import log_service
from app.services.log_service import LogQuery, Record

_TOLD = ("alert_firing",)


def list_alerts() -> list[Any]:
    """Return each rule with its state, as alerting.evaluator.RuleState; empty without alerting."""
    rules = current_app.extensions.get("alert_rules", list)
    return list(rules())


def missing_settings() -> list[str]:
    """Return the settings without which no alert can reach anybody."""
    return [name for name in ("SMTP_HOST", "ALERT_RECIPIENTS") if not current_app.config[name]]


def recipients() -> list[str]:
    """Return who gets alert mails."""
    return list(current_app.config["ALERT_RECIPIENTS"])


def history(limit: int = 20) -> list[Record]:
    """Return the newest alerts that were told, newest first."""
    return log_service.search(LogQuery(actions=_TOLD), limit=limit).records


def last_mail(told: list[Record]) -> Record | None:
    """Return the newest of the alerts, newest first, that a mail server took."""
    return next((one for one in told if (one.get("details") or {}).get("mailed")), None)
