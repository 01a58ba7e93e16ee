from flask import Flask

from app.alerting import check_error_rate, send_alert


def test_the_metrics_page_can_ask_which_rules_fire(app_context: Flask) -> None:
    assert app_context.extensions["alert_states"]() == {"error_rate": False}


def test_the_public_names_work_with_their_defaults(app_context: Flask) -> None:
    assert check_error_rate() == 0
    assert send_alert("A subject", "A message") is False
