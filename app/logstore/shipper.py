"""Carry log lines and outbox rows into the store; runs in one process per LOG_DIR."""

import logging
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import Engine

from app.extensions import db
from app.logstore import outbox
from app.logstore.contract import Checkpoint, LogStore, StoreUnavailable
from app.logstore.segments import Segment
from app.observability import log_file

_log = logging.getLogger(__name__)


def shipper_for(app: Flask) -> "Shipper":
    """Return the shipper of an app's LOG_DIR."""
    with app.app_context():
        database = db.engine
    return Shipper(
        app.extensions["log_store"],
        Path(app.config["LOG_DIR"]),
        database,
        backup_count=app.config["LOG_FILE_BACKUP_COUNT"],
        spool_max_bytes=app.config["LOG_SPOOL_MAX_BYTES"],
    )


class Shipper:
    """Ship what `log_dir` and the outbox of `database` hold, each record once.

    A batch and its checkpoint are one transaction, so it may be killed at any point.
    """

    def __init__(
        self,
        store: LogStore,
        log_dir: Path,
        database: Engine | None = None,
        *,
        backup_count: int = 10,
        spool_max_bytes: int = 1_073_741_824,
    ) -> None:
        self._store = store
        self._log_dir = log_dir
        self._database = database
        self._backup_count = backup_count
        self._spool_max_bytes = spool_max_bytes
        self._source = log_file.host_id(log_dir)
        self._checkpoints: dict[str, Checkpoint] = {}
        self._next_seq = 1
        self._in_step = False
        # Name of a segment that is read to its end -> what it looked like, and its identity.
        self._finished: dict[str, tuple[tuple[int, int, int], str | None]] = {}
        self._absent: set[str] = set()
        self._unreadable: set[str] = set()
        self._counts: Counter[str] = Counter()

    def ship_once(self, seconds: float = 5.0) -> int:
        """Ship what there is, for about `seconds` at most; return how many records it handled.

        Raises StoreUnavailable; nothing is lost, the next call goes on from the last batch.
        """
        stop = time.monotonic() + seconds
        try:
            self._get_in_step()
            handled = self._ship_files(stop)
            return handled + self.drain_outbox(stop)
        except StoreUnavailable:
            # The transaction may have been committed even so: ask the store what it has.
            self._in_step = False
            raise

    def drain_outbox(self, stop: float | None = None) -> int:
        """Store what waits in the outbox, then delete it there; return how many rows."""
        handled = 0
        while self._database is not None and (stop is None or not handled or _before(stop)):
            self._get_in_step()
            rows = outbox.waiting(self._database)
            if not rows:
                break
            self._append([record for _, record in rows], outbox.SEGMENT, 0, sealed=False)
            outbox.remove(self._database, (row_id for row_id, _ in rows))
            handled += len(rows)
        return handled

    @property
    def shipped_through(self) -> int:
        """Return the number of the last rotated segment that is stored with all before it."""
        return log_file.shipped_through(self._log_dir)

    @property
    def unshipped_bytes(self) -> int:
        """Return how many bytes of the files the store does not have yet."""
        return sum(rest for _, rest in self._unshipped())

    @property
    def lag_seconds(self) -> float:
        """Return the age of the oldest whole line that is not stored, 0 when there is none."""
        times = [moment for moment, _ in self._unshipped() if moment is not None]
        return max((datetime.now(UTC) - min(times)).total_seconds(), 0.0) if times else 0.0

    @property
    def dropped_by_reason(self) -> dict[str, int]:
        """Return what this process saw: lines `torn`, deleted unshipped, refused by the store."""
        return dict(self._counts + Counter(self._store.refused))

    @property
    def dropped(self) -> int:
        """Return how many records were lost; one that is stored encoded is not."""
        return sum(self.dropped_by_reason.values()) - self._store.refused.get("encoded", 0)

    def _get_in_step(self) -> None:
        if self._in_step:
            return
        self._store.prepare()
        known = self._store.checkpoints(self._source)
        self._checkpoints = {one.segment: one for one in known}
        self._next_seq = max((one.next_seq for one in known), default=1)
        self._finished.clear()
        self._in_step = True

    def _ship_files(self, stop: float) -> int:
        handled = 0
        present: set[str | None] = set()
        paths = log_file.segments(self._log_dir)
        for path in paths:
            count, identity = self._ship_path(path, stop)
            handled += count
            present.add(identity)
            if not _before(stop):
                break
        else:
            self._forget_gone(present)
        self._tidy(paths)
        return handled

    def _ship_path(self, path: Path, stop: float) -> tuple[int, str | None]:
        """Ship one segment; return how many records, and its identity."""
        try:
            segment = Segment(path)
        except FileNotFoundError:
            return 0, None
        except OSError as error:
            if path.name not in self._unreadable:
                self._unreadable.add(path.name)
                _log.warning("A log segment cannot be read", extra={
                    "details": {"segment": path.name, "reason": error.strerror}
                })  # fmt: skip
            return 0, None
        with segment:
            stamp, identity = self._finished.get(path.name, (None, None))
            if stamp is not None and stamp == segment.stamp():
                return 0, identity
            return self._ship_segment(segment, stop)

    def _ship_segment(self, segment: Segment, stop: float) -> tuple[int, str | None]:
        rotated = segment.path.name != "app.log"
        identity = segment.identity()
        handled = self._read_on(segment, identity, stop) if identity else 0
        if not rotated or not _before(stop) or not segment.is_final():
            return handled, identity
        # Nobody writes there any more: what came before that was known, and what has no end.
        identity = segment.identity(whole=True)
        if identity:
            handled += self._read_on(segment, identity, stop, final=True)
        known = self._checkpoints.get(identity or "")
        if not identity or (known and known.sealed):
            self._finished[segment.path.name] = (segment.stamp(), identity)
        return handled, identity

    def _read_on(self, segment: Segment, identity: str, stop: float, *, final: bool = False) -> int:
        """Ship from the checkpoint to the end; at the end of a final segment, seal it."""
        known = self._checkpoints.get(identity)
        # A file that shrank begins anew; what it had is known by its ids.
        offset = known.offset if known and known.offset <= segment.size else 0
        handled = 0
        while True:
            chunk = segment.read(offset, identity, whole=final)
            if chunk.end == offset:
                if final and not (known and known.sealed and known.offset == offset):
                    self._append([], identity, offset, sealed=True)
                break
            self._append(chunk.records, identity, chunk.end, sealed=False)
            self._counts["torn"] += chunk.torn
            handled += len(chunk.records)
            offset = chunk.end
            # However little time there is, each pass gets on.
            if not _before(stop):
                break
        return handled

    def _append(
        self, records: list[dict[str, Any]], segment: str, offset: int, *, sealed: bool
    ) -> None:
        checkpoint = Checkpoint(self._source, segment, offset, sealed, self._next_seq)
        self._store.append(records, checkpoint)
        self._next_seq += len(records)
        self._checkpoints[segment] = replace(checkpoint, next_seq=self._next_seq)

    def _tidy(self, paths: list[Path]) -> None:
        """Note how far everything is shipped, and delete the oldest of that."""
        through = 0
        rotated = [path for path in paths if path.name != "app.log"]
        for path in rotated:
            if path.name not in self._finished:
                break
            through = log_file.segment_number(path)
        if through > self.shipped_through:
            log_file.mark_shipped(self._log_dir, through)
        if len(rotated) > self._backup_count:
            active = self._log_dir / "app.log"
            lost = log_file.prune(active, self._backup_count, self._spool_max_bytes)
            if lost:
                self._counts["spool_full"] += lost
                _log.error("Log lines were deleted unshipped", extra={"details": {"lines": lost}})

    def _forget_gone(self, present: set[str | None]) -> None:
        absent = set(self._checkpoints) - present - {outbox.SEGMENT}
        # A file that is being renamed is not seen for a moment.
        for segment in absent & self._absent:
            self._store.forget(self._source, segment)
            del self._checkpoints[segment]
        self._absent = absent

    def _unshipped(self) -> list[tuple[datetime | None, int]]:
        """Return, for each segment with unshipped bytes, the time of the first and how many."""
        through = self.shipped_through
        found = []
        for path in log_file.segments(self._log_dir):
            rotated = path.name != "app.log"
            if rotated and log_file.segment_number(path) <= through:
                continue
            try:
                segment = Segment(path)
            except OSError:
                continue
            with segment:
                known = self._checkpoints.get(segment.identity(whole=rotated) or "")
                offset = known.offset if known and known.offset <= segment.size else 0
                if segment.size > offset:
                    found.append((segment.first_time(offset), segment.size - offset))
        return found


def _before(stop: float) -> bool:
    return time.monotonic() < stop
