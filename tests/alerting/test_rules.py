import pytest
from flask import Flask

from app.alerting.rules import RULES, Rule


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_is_complete(rule: Rule, app: Flask) -> None:
    assert isinstance(app.config[rule.threshold], int)
    assert rule.severity in {"warning", "critical"}
    assert rule.headline.format(value=12, limit=10) != rule.headline
    assert rule.advice.endswith(".")
    assert rule.window_hours > 0


def test_rules_have_names_of_their_own() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
