"""What a record measures beside its own duration; counted in buckets as durations are."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

# Of a request: how long the database took for it. Of a sample: how its process and host are.
DB_MS = "db_ms"
CPU, MEMORY, POOL, DISK = "cpu_percent", "memory_mb", "pool_percent", "disk_free_percent"
_MEGABYTE = 1_048_576


def measures(record: Mapping[str, Any]) -> Iterable[tuple[str, float]]:
    """Return (name, value) of what a record measures; leaves out what is no number."""
    of = MEASURED.get(record["action"])
    return of(record) if of else ()


def _of_request(record: Mapping[str, Any]) -> Iterable[tuple[str, float]]:
    db_ms = record.get("db_ms")
    return () if db_ms is None else ((DB_MS, db_ms),)


def _of_sample(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    details = record.get("details")
    if not isinstance(details, Mapping):
        return
    if (cpu := _number(details.get("cpu_percent"))) is not None:
        yield CPU, cpu
    if (memory := _number(details.get("rss_bytes"))) is not None:
        yield MEMORY, memory / _MEGABYTE
    pool, free = details.get("pool"), details.get("disk_free")
    if isinstance(pool, Mapping):
        used, size = _number(pool.get("in_use")), _number(pool.get("size"))
        # A pool that keeps nothing open has no share of it in use.
        if used is not None and size:
            yield POOL, 100 * used / size
    if isinstance(free, Mapping):
        shares = [share for one in free.values() if (share := _number(one)) is not None]
        if shares:
            yield DISK, 100 * min(shares)


def _number(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if known and abs(value) < 1e15 and math.isfinite(value) else None


# By action; a record with another one measures nothing.
MEASURED = {"request": _of_request, "sample": _of_sample}
