from typing import Any

import pytest

from app.logstore.measures import measures

SAMPLE = {
    "process": "server", "cpu_percent": 12.5, "rss_bytes": 3 * 1_048_576,
    "pool": {"in_use": 2, "size": 5, "overflow": 0}, "disk_free": {"uploads": 0.5, "logs": 0.25},
}  # fmt: skip


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ({"action": "request", "db_ms": 3.5}, {"db_ms": 3.5}),
        ({"action": "request", "db_ms": None}, {}),
        ({"action": "item_update", "db_ms": 3.5}, {}),
        (
            {"action": "sample", "details": SAMPLE},
            {"cpu_percent": 12.5, "memory_mb": 3, "pool_percent": 40, "disk_free_percent": 25},
        ),
        ({"action": "sample", "details": {**SAMPLE, "cpu_percent": True, "rss_bytes": "?",
                                          "pool": {"in_use": 1, "size": 0}, "disk_free": {}}}, {}),
        ({"action": "sample", "details": {"cpu_percent": float("inf"), "pool": [1],
                                          "disk_free": {"logs": 10**400}}}, {}),
        ({"action": "sample", "details": "?"}, {}),
        ({"action": "sample"}, {}),
    ],
)  # fmt: skip
def test_a_record_says_what_it_measured_and_nothing_else(
    record: dict[str, Any], found: dict[str, float]
) -> None:
    assert dict(measures(record)) == found
