from collections import Counter
from typing import Any

import pytest

from app.logstore.counts import bucket
from app.services.key_figures import FAILED, KINDS, Stretch

BY_NAME = {kind.name: kind for kind in KINDS}


def stretch(**counted: Any) -> Stretch:
    """Return two minutes; a name is `action` or `action__measure`, a value what was measured."""
    found = {}
    for name, values in counted.items():
        action, _, measure = name.partition("__")
        key = (FAILED if action == "failed" else action, measure or None)
        found[key] = Counter(bucket(value) for value in values)
    return Stretch(2, found)


@pytest.mark.parametrize(
    ("name", "of", "value", "exceeds"),
    [
        ("request_rate", stretch(request=[1.0] * 6), 3, False),
        ("response_time", stretch(request=[10.0] * 18 + [3000.0] * 2), 3000, True),
        ("response_time", stretch(request=[10.0] * 20, request__db_ms=[9e3]), 10, False),
        ("error_rate", stretch(request=[1.0] * 100, failed=[1.0] * 2), 2, True),
        ("error_rate", stretch(request=[1.0] * 100, failed=[1.0]), 1, False),
        ("error_rate", stretch(request=[1.0]), 0, False),
        ("error_rate", stretch(), None, False),
        ("query_time", stretch(request=[9e3], request__db_ms=[1500.0]), 1500, True),
        ("connection_pool", stretch(sample__pool_percent=[20.0, 120.0]), 120, True),
        ("disk_free", stretch(sample__disk_free_percent=[50.0, 10.0]), 10, True),
        ("disk_free", stretch(sample__disk_free_percent=[50.0, 30.0]), 30, False),
        ("memory", stretch(sample__memory_mb=[100.0, 2000.0]), 2000, True),
        ("cpu", stretch(sample__cpu_percent=[100.0, 1.0]), 100, True),
        ("failed_logins", stretch(login_failed=[None]), 30, True),
        ("failed_logins", stretch(), 0, False),
        ("email_failures", stretch(email_failed=[None], email_sent=[None] * 3), 25, True),
        ("email_failures", stretch(email_sent=[None]), 0, False),
        ("email_failures", stretch(), None, False),
    ],
)
def test_each_figure_is_what_was_counted_and_knows_when_that_is_too_much(
    name: str, of: Stretch, value: float | None, exceeds: bool
) -> None:
    kind = BY_NAME[name]
    found = kind.ask(of)
    assert found == (value if value is None else pytest.approx(value, rel=0.05))
    assert kind.exceeds(found) is exceeds


def test_the_ten_key_figures_are_those_of_the_requirements() -> None:
    assert {kind.name: kind.limit for kind in KINDS} == {
        "request_rate": None, "response_time": 2000, "error_rate": 1, "query_time": 1000,
        "connection_pool": 100, "disk_free": 20, "memory": 1024, "cpu": 90, "failed_logins": 10,
        "email_failures": 5,
    }  # fmt: skip
