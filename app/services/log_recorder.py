"""How the recording itself is: its hosts, how far it is behind, what it lost, how fast it grows."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from flask import current_app

from app.logstore import current_store
from app.logstore.record import parse_moment, time_of
from app.observability.disk import disk_usage
from app.observability.ids import id_floor
from app.observability.log_spool import dropped_lines, known_host_id, segments
from app.services import log_service
from app.services.log_service import LogQuery, Record

_SAMPLES = 120
# Of a minute: one of them is of this host, unless there are more processes.
_SAMPLES_THEN = 40
_OF_SAMPLES = ("action", "host", "pid", "release", "details")
_SEEN_WITHIN = timedelta(hours=1)
_ALIVE = timedelta(minutes=2)
_DAY = timedelta(days=1)
_WEEK = 7 * _DAY


@dataclass(frozen=True)
class Host:
    """A host that wrote in the last hour: when last, and which of its processes are alive."""

    host: str
    last_seen: datetime
    alive: bool
    pids: list[int]
    releases: list[str]


@dataclass(frozen=True)
class Recorder:
    """How this host's recording is; None is not known. `bytes_a_day` is of its log files."""

    alive: bool
    lag_seconds: float | None
    unshipped_bytes: int | None
    dropped: int
    refused: int | None
    torn: int | None
    bytes_a_day: float | None
    days_until_full: float | None


def newest_samples(now: datetime) -> list[Record]:
    """Return the samples of the last hour, newest first; with many hosts those of minutes."""
    query = LogQuery(actions=("sample",), since=now - _SEEN_WITHIN, until=now)
    return log_service.search(query, limit=_SAMPLES, fields=_OF_SAMPLES).records


def alive(samples: Iterable[Record], now: datetime) -> list[Record]:
    """Return the newest sample of each process that is alive."""
    newest: dict[tuple[Any, Any], Record] = {}
    for one in samples:
        newest.setdefault((one["host"], one["pid"]), one)
    return [one for one in newest.values() if time_of(one["id"]) > now - _ALIVE]


def hosts(samples: Sequence[Record], now: datetime) -> list[Host]:
    """Return the hosts that wrote these samples, newest first, those that fell silent before."""
    last_seen: dict[str, datetime] = {}
    for one in samples:
        last_seen.setdefault(one["host"] or "?", time_of(one["id"]))
    processes: dict[str, list[Record]] = defaultdict(list)
    for one in alive(samples, now):
        processes[one["host"] or "?"].append(one)
    found = [
        Host(
            host,
            last_seen=moment,
            alive=bool(processes[host]),
            pids=sorted(one["pid"] for one in processes[host] if one["pid"] is not None),
            releases=sorted({one["release"] for one in processes[host] if one["release"]}),
        )
        for host, moment in last_seen.items()
    ]
    return sorted(found, key=lambda one: (one.alive, one.host))


def recorder(now: datetime) -> Recorder:
    """Return how the recording of this host is."""
    status = log_service.runner_status()
    log_dir = Path(current_app.config["LOG_DIR"])
    known: Any = None if status is None else status
    rate = bytes_a_day(log_dir, now)
    return Recorder(
        alive=bool(known and known.alive),
        lag_seconds=known and known.lag_seconds,
        unshipped_bytes=known and known.unshipped_bytes,
        dropped=dropped_lines(log_dir),
        refused=known and known.refused,
        torn=known and known.torn,
        bytes_a_day=rate,
        days_until_full=days_until_full(log_dir, now, rate),
    )


def bytes_a_day(log_dir: Path, now: datetime) -> float | None:
    """Return how much this host logs in a day at the rate of the files it still has."""
    files = segments(log_dir)
    began = next((start for one in files if (start := _start_of(one)) is not None), None)
    if began is None or now - began < timedelta(minutes=1):
        return None
    total = sum(one.stat().st_size for one in files if one.exists())
    return total / ((now - began) / _DAY)


def _start_of(segment: Path) -> datetime | None:
    try:
        with segment.open("rb") as file:
            record = orjson.loads(file.readline())
        return parse_moment(record.get("timestamp"))
    except (OSError, ValueError, AttributeError):
        # Pruned a moment ago, empty, or begun in the middle of a line.
        return None


def days_until_full(log_dir: Path, now: datetime, rate: float | None) -> float | None:
    """Return in how many days the disk of the log is full, None when that is not in sight.

    As fast as it filled up since a week ago, with all that is on it; where samples do not tell
    that yet, as fast as the log grows.
    """
    usage, own = disk_usage(log_dir), known_host_id(log_dir)
    free = usage.free / usage.total
    query = LogQuery(actions=("sample",), until=now - _SEEN_WITHIN)
    after = id_floor(now - _WEEK)
    for one in current_store().newer(query, after, _SAMPLES_THEN, ("source", "details")):
        then = _free_then(one)
        if one["source"] == own and then is not None:
            days = (now - time_of(one["id"])) / _DAY
            return free / (then - free) * days if then > free else None
    return usage.free / rate if rate else None


def _free_then(sample: Record) -> float | None:
    told = sample["details"].get("disk_free")
    share = told.get("logs") if isinstance(told, dict) else None
    return float(share) if isinstance(share, int | float) else None
