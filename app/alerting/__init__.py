"""Alerts: rules over what the log store knows, and mail to those who should know."""

from flask import Flask

from app.alerting.evaluator import check_error_rate, firing_rules
from app.alerting.notifiers import say_if_nobody_is_told, send_alert

__all__ = ["check_error_rate", "firing_rules", "init_app", "say_if_nobody_is_told", "send_alert"]


def init_app(app: Flask) -> None:
    """Let the metrics page show which rules fire."""
    app.extensions["alert_states"] = firing_rules
