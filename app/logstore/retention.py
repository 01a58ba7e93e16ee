"""What leaves the log store when: archive what is expired, then delete exactly what is archived."""

import fcntl
import heapq
import logging
import math
import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from flask import Flask, current_app

from app.logstore import archive
from app.logstore.archive import ArchiveBroken, Manifest
from app.logstore.contract import LogStore, Stretch
from app.logstore.counts import DAY, HOUR, MINUTE
from app.logstore.partitions import partition_for
from app.logstore.record import KEEPS
from app.observability.events import record_event
from app.observability.ids import id_floor, id_time
from app.observability.log_spool import host_id

_log = logging.getLogger(__name__)
_PAGE = 1_000
# A slice is deleted in some milliseconds, and writers have the pause to themselves.
_SLICE, _PAUSE = 500, 0.02
_LEASE, _LEASE_SECONDS, _RENEW_SECONDS = "archive", 120, 20
_ROUNDS = 3

Told = Callable[[str, datetime], None]


class NotNow(Exception):
    """Say that another process or host is archiving."""


@dataclass(frozen=True)
class Plan:
    """What of one keep class would go; `bytes` is the size of its archives, compressed."""

    keep: str
    count: int
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    bytes: int = 0


def retention_for(app: Flask) -> "Retention":
    """Return the retention of an app's store, as its settings say."""
    days = {keep: app.config[f"LOG_KEEP_DAYS_{keep.upper()}"] for keep in KEEPS}
    return Retention(app.extensions["log_store"], Path(app.config["LOG_DIR"]), days)


class Retention:
    """Archive below `log_dir` and delete what is older than its class's days.

    Of several processes and hosts one works at a time. It may be killed at any point: what is
    archived is known by its id, so the next run goes on and archives nothing twice.
    """

    def __init__(
        self, store: LogStore, log_dir: Path, days: Mapping[str, int], pause: float = _PAUSE
    ) -> None:
        self._store = store
        self._log_dir = log_dir
        self._folder = log_dir / "archive"
        self._days = days
        self._pause = pause
        self._holder = ""
        self._renewed: float | None = None
        self._broken: set[Path] = set()

    def plan(self, now: datetime, told: Told = lambda _keep, _moment: None) -> list[Plan]:
        """Return what run() would archive and delete, read from the store and changing nothing."""
        return [self._plan(keep, cutoff(now, self._days[keep]), told) for keep in KEEPS]

    def run(self, now: datetime, told: Told = lambda _keep, _moment: None) -> dict[str, int]:
        """Archive and delete what is expired; return how many records of each class left.

        `told` gets the class and the time of the record it is at. Raises NotNow, ArchiveBroken,
        OSError and StoreUnavailable; what is not archived and verified is then still in the store.
        """
        with self._alone():
            archive.tidy(self._folder)
            gone = {keep: self._clear(keep, cutoff(now, self._days[keep]), told) for keep in KEEPS}
            self._purge_counts(now)
        return gone

    def _purge_counts(self, now: datetime) -> None:
        """Let the shorter steps go; the longer the time ago, the longer are a chart's steps."""
        longest = self._days["operation"]
        for step, days in ((MINUTE, self._days["info"]), (HOUR, longest), (DAY, 5 * longest)):
            self._store.purge_counts(now - timedelta(days=days), step)

    def _plan(self, keep: str, before: str, told: Told) -> Plan:
        count, size, packer = 0, 0, zlib.compressobj(6)
        first = last = None
        wholes = self._store.wholes(keep, before)
        # Slots follow one another only as they are deleted; here nothing is.
        for stretch in [Stretch(keep, "", before)] if wholes is None else wholes:
            for record in self._records(stretch, told):
                count, first, last = count + 1, first or record, record
                size += len(packer.compress(archive.as_line(record)))
        if first is None or last is None:
            return Plan(keep, 0)
        size += len(packer.flush())
        return Plan(keep, count, first["timestamp"], last["timestamp"], size)

    def _clear(self, keep: str, before: str, told: Told) -> int:
        wholes = self._store.wholes(keep, before)
        gone = 0
        for stretch in self._slots(keep, before) if wholes is None else wholes:
            count = self._move(stretch, told)
            if count is None:
                # Records leave oldest first: what counts them knows from the oldest what is gone.
                break
            gone += count
        return gone

    def _slots(self, keep: str, before: str) -> Iterator[Stretch]:
        """Return stretches of time, each the oldest there is when it is asked for."""
        while oldest := self._store.expired(keep, before, None, 1):
            low = oldest[0]["id"]
            yield Stretch(keep, low, min(before, partition_for(keep, low).high_id))

    def _move(self, stretch: Stretch, told: Told) -> int | None:
        """Archive a stretch and delete it; return how many records left, None while it stays."""
        for _ in range(_ROUNDS):
            self._renew()
            earlier = self._archives_of(stretch)
            joined = _Joined(self._records(stretch, told), _ids_of(earlier))
            made = archive.write(self._folder, joined.fresh())
            if made is not None:
                _record_archived(*made)
            # Most often that is all; what an earlier run archived and did not delete comes first.
            archived = [*(earlier if joined.known else []), *([made[0]] if made else [])]
            if self._remove(stretch, joined.total, archived):
                return joined.total
            # Late records came while it was archived, or it is in use.
        return None

    def _remove(self, stretch: Stretch, total: int, archived: list[Path]) -> bool:
        self._renew()
        if stretch.whole is None:
            if sum(self._purge(stretch, archived)) < total:
                raise ArchiveBroken(f"Not all of {stretch} that is archived could be deleted")
        elif not self._store.drop(stretch, total):
            return False
        if total:
            record_event("logs_purged", "logs purged", outcome="success", details={
                "keep": stretch.keep, "count": total,
                "archives": [path.name for path in archived],
            })  # fmt: skip
        return True

    def _purge(self, stretch: Stretch, archived: list[Path]) -> Iterator[int]:
        found = (one for one in _ids_of(archived) if stretch.low <= one < stretch.high)
        while ids := list(islice(found, _SLICE)):
            yield self._store.purge(stretch.keep, ids)
            self._renew()
            time.sleep(self._pause)

    def _records(self, stretch: Stretch, told: Told) -> Iterator[dict[str, Any]]:
        """Return what the store has of a stretch, oldest first."""
        after: str | None = stretch.low if stretch.whole else None
        while records := self._store.expired(stretch.keep, stretch.high, after, _PAGE):
            self._renew()
            yield from records
            after = records[-1]["id"]
            told(stretch.keep, id_time(records[-1]["id"]))

    def _archives_of(self, stretch: Stretch) -> list[Path]:
        """Return the sound archives that may hold records of a stretch."""
        found = []
        for path in archive.archives(self._folder):
            try:
                if _overlaps(archive.read_manifest(path), stretch):
                    archive.verify(path)
                    found.append(path)
            except ArchiveBroken as error:
                # Nothing is deleted on its word: what the store still has is archived anew.
                if path not in self._broken:
                    self._broken.add(path)
                    _log.warning("A log archive is broken", extra={"details": {"why": str(error)}})
        return found

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes of this host away with a lock, and other hosts with a lease."""
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._holder = host_id(self._log_dir)
            self._renewed = -math.inf
            self._renew()
            yield
            self._store.lease(_LEASE, self._holder, 0)
        except BlockingIOError:
            raise NotNow("Another process of this host is archiving.") from None
        finally:
            self._renewed = None
            os.close(lock)

    def _renew(self) -> None:
        """Keep the lease that is held, if one is: a plan needs none."""
        if self._renewed is None or time.monotonic() - self._renewed < _RENEW_SECONDS:
            return
        if not self._store.lease(_LEASE, self._holder, _LEASE_SECONDS):
            raise NotNow("Another host is archiving.")
        self._renewed = time.monotonic()


def archive_logs() -> None:
    """Archive and delete what is expired in the current app's store: the job."""
    # Whoever is at it already does the same.
    with suppress(NotNow):
        retention_for(current_app).run(datetime.now(UTC))


class _Joined:
    """Go through a stretch beside the ids that are archived; both are sorted."""

    def __init__(self, records: Iterator[dict[str, Any]], archived: Iterator[str]) -> None:
        self._records = records
        self._archived = archived
        self.total = 0
        self.known = 0

    def fresh(self) -> Iterator[dict[str, Any]]:
        """Return the records that no archive has; count all."""
        known = next(self._archived, None)
        for record in self._records:
            self.total += 1
            while known is not None and known < record["id"]:
                known = next(self._archived, None)
            if known == record["id"]:
                self.known += 1
            else:
                yield record


def cutoff(now: datetime, days: int) -> str:
    """Return the first id that is kept. Whole days leave, so that each is in one archive."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return id_floor(midnight - timedelta(days=days))


def _ids_of(paths: list[Path]) -> Iterator[str]:
    return heapq.merge(*(archive.ids(path) for path in paths))


def _overlaps(manifest: Manifest, stretch: Stretch) -> bool:
    if manifest.keep != stretch.keep:
        return False
    return manifest.first_id < stretch.high and manifest.last_id >= stretch.low


def _record_archived(path: Path, manifest: Manifest) -> None:
    record_event(
        "logs_archived", "logs archived", outcome="success", target_type="archive",
        target_id=path.name,
        details={
            "keep": manifest.keep, "count": manifest.count, "bytes": manifest.bytes,
            "from": manifest.first_timestamp, "to": manifest.last_timestamp,
        },
    )  # fmt: skip
