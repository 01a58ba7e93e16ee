"""Carry log lines and outbox rows into the store; runs in one process per LOG_DIR."""

import itertools
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from flask import Flask
from sqlalchemy import Engine

from app.extensions import db
from app.logstore import outbox
from app.logstore.contract import LogStore
from app.logstore.progress import Progress
from app.logstore.read_ahead import ReadAhead
from app.logstore.segments import Segment
from app.observability import log_spool

_log = logging.getLogger(__name__)


def shipper_for(app: Flask) -> "Shipper":
    """Return the shipper of an app's LOG_DIR."""
    with app.app_context():
        database = db.engine
    return Shipper(
        app.extensions["log_store"], Path(app.config["LOG_DIR"]), database,
        backup_count=app.config["LOG_FILE_BACKUP_COUNT"],
        spool_max_bytes=app.config["LOG_SPOOL_MAX_BYTES"],
    )  # fmt: skip


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
        self._active = log_dir / "app.log"
        self._database = database
        self._backup_count = backup_count
        self._spool_max_bytes = spool_max_bytes
        self._progress = Progress(store, log_spool.host_id(log_dir))
        # app.log and what was app.log, open until it is read to its end: whoever removes or moves
        # such a file takes no line with it.
        self._held: list[Segment] = []
        # Name of a segment that is read to its end -> what it looked like, and its identity.
        self._finished: dict[str, tuple[tuple[int, int, int], str | None]] = {}
        self._told: set[tuple[str, str | None]] = set()
        self.torn = 0  # How many fragments of lines this process has stored.

    def ship_once(self, seconds: float = 5.0) -> int:
        """Ship what there is, for about `seconds` at most; return how many records it handled.

        Raises StoreUnavailable; nothing is lost, the next call goes on from the last batch.
        """
        stop = time.monotonic() + seconds
        try:
            self._get_in_step()
            handled = self._ship_files(stop)
            return handled + self.drain_outbox(stop)
        except Exception:
            self._progress.lose_step()
            raise
        finally:
            self._drop()

    def drain_outbox(self, stop: float | None = None) -> int:
        """Store what waits in the outbox, then delete it there; return how many rows."""
        handled = 0
        while self._database is not None and (stop is None or not handled or _before(stop)):
            self._get_in_step()
            rows = outbox.waiting(self._database)
            if not rows:
                break
            self._progress.append([record for _, record in rows], outbox.SEGMENT)
            outbox.remove(self._database, (row_id for row_id, _ in rows))
            handled += len(rows)
        return handled

    @property
    def shipped_through(self) -> int:
        """Return the number of the last rotated segment that is stored with all before it."""
        return log_spool.shipped_through(self._log_dir)

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
    def held_without_name(self) -> list[Segment]:
        """Return the files, once app.log, that nobody else may find any more."""
        return [one for one in self._held if not one.is_named(self._active)]

    @property
    def refused(self) -> int:
        """Return how many records the store took in no form, and so are lost."""
        return self._store.refused.get("refused", 0)

    @property
    def dropped(self) -> int:
        """Return how many lines were ever deleted unshipped, for want of room."""
        return log_spool.dropped_lines(self._log_dir)

    def _get_in_step(self) -> None:
        if self._progress.get_in_step():
            self._finished.clear()

    def _ship_files(self, stop: float) -> int:
        self._hold_active()
        rotated = log_spool.rotated(self._active)
        handled, present = 0, set[str | None]()
        for count, identity in self._ship_each(rotated, stop):
            handled += count
            present.add(identity)
        if _before(stop):
            self._progress.forget_gone(present)
        self._note_shipped(rotated)
        return handled

    def _ship_each(self, rotated: list[Path], stop: float) -> Iterator[tuple[int, str | None]]:
        # First what nobody else can read; all else waits for whoever comes.
        moved = self.held_without_name
        for segment in moved:
            yield self._ship_held(segment, stop)
        for path in [*log_spool.copies(self._log_dir), *rotated]:
            yield self._ship_path(path, stop, copy=path not in rotated)
            if not _before(stop):
                break
        for segment in [one for one in self._held if one not in moved]:
            yield self._ship_held(segment, stop)

    def _hold_active(self) -> None:
        if self._held and self._held[-1].is_named(self._active):
            return
        try:
            self._held.append(Segment(self._active))
        except OSError as error:
            self._tell(self._active, error)

    def _ship_path(self, path: Path, stop: float, *, copy: bool) -> tuple[int, str | None]:
        """Ship one segment by its name; return how many records, and its identity."""
        known = self._finished.pop(path.name, None)
        try:
            with Segment(path) as segment:
                now = segment.stamp()
                if known and known[0] == now:
                    self._finished[path.name] = known
                    return 0, known[1]
                handled, identity, done = self._ship_segment(segment, stop, copy, ends=not copy)
        except OSError as error:
            self._tell(path, error)
            return 0, None
        if done:
            self._finished[path.name] = (now, identity)
        return handled, identity

    def _ship_held(self, segment: Segment, stop: float) -> tuple[int, str | None]:
        """Ship app.log, or what was app.log until somebody gave it another name or none."""
        ends = not segment.is_named(self._active)
        try:
            handled, identity, done = self._ship_segment(segment, stop, False, ends=ends)
        except OSError as error:
            self._tell(segment.path, error)
            return 0, None
        if done:
            self._held.remove(segment)
            segment.close()
        return handled, identity

    def _ship_segment(
        self, segment: Segment, stop: float, copy: bool, *, ends: bool
    ) -> tuple[int, str | None, bool]:
        """Return how many records, the identity, and whether all is read of what can come.

        `ends` says that no writer opens the segment any more; a copy may still be growing.
        """
        identity = segment.identity()
        handled = self._read_on(segment, identity, stop, copy=copy) if identity else 0
        if not _before(stop) or not ends or not segment.seal():
            return handled, identity, copy and _before(stop)
        # What came before it was sealed, and what has no end.
        identity = segment.identity(whole=True)
        if identity:
            handled += self._read_on(segment, identity, stop, final=True)
        return handled, identity, not identity or self._progress.is_sealed(identity)

    def _read_on(
        self, segment: Segment, identity: str, stop: float,
        *, final: bool = False, copy: bool = False,
    ) -> int:  # fmt: skip
        """Ship from the checkpoint to the end; at the end of a final segment, seal it."""
        offset = self._progress.start(segment, identity, copy=copy)
        reader, handled = ReadAhead(segment, identity, whole=final), 0
        while True:
            chunk = reader.read(offset)
            if segment.identity(whole=final) != identity:
                # Cut while it was read: these lines are of what stands there now, and next time
                # they are read as that. Under the old name they would hide what a copy still has.
                break
            if chunk.end == offset:
                if final and not self._progress.is_sealed(identity, offset):
                    self._progress.append([], identity, offset, sealed=True)
                break
            handled += len(chunk.records)
            ahead = partial(reader.read_ahead, chunk.end)
            self._progress.append(chunk.records, identity, chunk.end, meanwhile=ahead)
            self._progress.has_read(identity, chunk.before)
            self.torn += chunk.torn
            offset = chunk.end
            # However little time there is, each pass gets on.
            if not _before(stop):
                break
        return handled

    def _note_shipped(self, rotated: list[Path]) -> None:
        """Note how far all is stored, and delete the oldest of that."""
        stored = itertools.takewhile(lambda path: path.name in self._finished, rotated)
        through = max(map(log_spool.segment_number, stored), default=0)
        try:
            if through > self.shipped_through:
                log_spool.mark_shipped(self._log_dir, through, self._progress.source)
        except OSError as error:
            # On a full disk there is no room for the note, and deleting makes some.
            self._tell(self._active, error)
        try:
            log_spool.prune(self._active, self._backup_count, through)
        except OSError as error:
            self._tell(self._active, error)

    def _drop(self) -> None:
        """Delete the oldest of what is not stored when it is too much."""
        try:
            lost = log_spool.drop(
                self._active, self.shipped_through, self._spool_max_bytes, self._stored_of
            )
        except OSError as error:
            self._tell(self._active, error)
            return
        if lost:
            # What is counted as lost may not come later, and its room is needed.
            for segment in self.held_without_name:
                self._held.remove(segment)
                segment.close()
            _log.error("Log lines were deleted unshipped", extra={"details": {"lines": lost}})

    def _stored_of(self, path: Path) -> int:
        with Segment(path) as segment:
            return self._progress.start(segment, segment.identity(whole=True))

    def _tell(self, path: Path, error: OSError) -> None:
        """Say once that a file makes trouble, unless it is gone; all others are shipped even so."""
        trouble = (path.name, error.strerror)
        if trouble not in self._told and not isinstance(error, FileNotFoundError):
            self._told.add(trouble)
            details = {"segment": path.name, "reason": error.strerror}
            _log.warning("A log segment cannot be read or deleted", extra={"details": details})

    def _unshipped(self) -> list[tuple[datetime | None, int]]:
        """Return, for each segment with unshipped bytes, the time of the first and how many."""
        through = self.shipped_through
        found = []
        for path in log_spool.segments(self._log_dir):
            rotated = path != self._active
            if rotated and log_spool.segment_number(path) <= through:
                continue
            try:
                segment = Segment(path)
            except OSError:
                continue
            with segment:
                offset = self._progress.start(segment, segment.identity(whole=rotated))
                if segment.size > offset:
                    found.append((segment.first_time(offset), segment.size - offset))
        return found


def _before(stop: float) -> bool:
    return time.monotonic() < stop
