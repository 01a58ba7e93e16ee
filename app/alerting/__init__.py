"""Alerts: rules over what the log store knows, and mail to those who should know."""

from flask import Flask

from app.alerting.evaluator import check_error_rate, firing_rules, rule_states
from app.alerting.notifiers import say_if_nobody_is_told, send_alert

__all__ = [
    "check_error_rate", "firing_rules", "init_app", "rule_states", "say_if_nobody_is_told",
    "send_alert",
]  # fmt: skip


def init_app(app: Flask) -> None:
    """Let the metrics page show which rules fire, and the alert page all of them."""
    app.extensions["alert_states"] = firing_rules
    app.extensions["alert_rules"] = rule_states
