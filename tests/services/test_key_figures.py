from typing import Any

import pytest

from app.logstore.counts import bucket
from app.services.key_figures import KINDS, Stretch

BY_NAME = {kind.name: kind for kind in KINDS}


def stretch(**counted: Any) -> Stretch:
    """Return two minutes; a name is `action_measure_class`, a value the numbers measured."""
    found: dict[tuple[Any, ...], dict[int, int]] = {}
    for name, values in counted.items():
        action, measure, status_class = name.split("__")
        buckets = found.setdefault((action, measure or None, int(status_class) or None), {})
        for value in values:
            buckets[bucket(value)] = buckets.get(bucket(value), 0) + 1
    return Stretch(2, found)


@pytest.mark.parametrize(
    ("name", "of", "value", "exceeds"),
    [
        ("request_rate", stretch(request____2=[1.0] * 5, request____5=[1.0]), 3, False),
        ("response_time", stretch(request____2=[10.0] * 18, request____5=[3000.0] * 2), 3000, True),
        ("response_time", stretch(request____2=[10.0] * 20, request__db_ms__0=[9e3]), 10, False),
        ("error_rate", stretch(request____2=[1.0] * 98, request____5=[1.0] * 2), 2, True),
        ("error_rate", stretch(request____2=[1.0] * 99, request____5=[1.0]), 1, False),
        ("error_rate", stretch(request____4=[1.0]), 0, False),
        ("error_rate", stretch(), None, False),
        ("query_time", stretch(request____2=[9e3], request__db_ms__0=[1500.0]), 1500, True),
        ("connection_pool", stretch(sample__pool_percent__0=[20.0, 120.0]), 120, True),
        ("disk_free", stretch(sample__disk_free_percent__0=[50.0, 10.0]), 10, True),
        ("disk_free", stretch(sample__disk_free_percent__0=[50.0, 30.0]), 30, False),
        ("memory", stretch(sample__memory_mb__0=[100.0, 2000.0]), 2000, True),
        ("cpu", stretch(sample__cpu_percent__0=[100.0, 1.0]), 100, True),
        ("failed_logins", stretch(login_failed____0=[None]), 30, True),
        ("failed_logins", stretch(), 0, False),
        ("email_failures", stretch(email_failed____0=[None], email_sent____0=[None] * 3), 25, True),
        ("email_failures", stretch(email_sent____0=[None]), 0, False),
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
