"""Alerts: rules over what the log store knows, and mail to those who should know."""

from flask import Flask

from app.alerting.evaluator import check_error_rate, firing_rules, rule_states
from app.alerting.notifiers import say_if_nobody_is_told, send_alert

__all__ = [
    "check_error_rate", "firing_rules", "init_app", "rule_states", "say_if_nobody_is_told",
    "send_alert",
]  # fmt: skip

CHECK_EVERY = 300  # Seconds.


def init_app(app: Flask) -> None:
    """Have the runner check the rules; let pages show what fires, and the alert page all rules."""
    app.extensions.setdefault("at_runner_start", []).append(say_if_nobody_is_told)
    app.extensions.setdefault("jobs", {})["check_error_rate"] = (check_error_rate, CHECK_EVERY)
    app.extensions["alert_states"] = firing_rules
    app.extensions["alert_rules"] = rule_states
