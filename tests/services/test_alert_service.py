import pytest
from flask import Flask

from app.services.alert_service import history, list_alerts, missing_settings, recipients
from tests.log_records import made, put


def test_every_rule_is_listed_also_before_its_first_check(app_context: Flask) -> None:
    [alert] = list_alerts()
    assert (alert.rule.name, alert.limit, alert.state) == ("error_rate", 10, None)


def test_without_alerting_there_is_no_rule(app_context: Flask) -> None:
    del app_context.extensions["alert_rules"]
    assert list_alerts() == []


@pytest.mark.settings(ALERT_RECIPIENTS="ops@example.com")
def test_what_is_not_set_is_named(app_context: Flask) -> None:
    assert missing_settings() == ["SMTP_HOST"]
    assert recipients() == ["ops@example.com"]


def test_the_history_is_of_alerts_alone(app_context: Flask) -> None:
    put(app_context, made("one", action="alert_firing"), made("two"),
        made("three", action="alert_firing"))  # fmt: skip
    assert [record["message"] for record in history()] == ["three", "one"]
