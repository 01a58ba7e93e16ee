"""Deliberately broken variants of the pipeline; the oracle must find each of them out."""

import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

from app.extensions import db
from app.logstore import outbox, segments, shipper, sql_append, sql_copy, sql_store
from app.logstore.contract import Checkpoint
from app.logstore.progress import Progress
from app.logstore.record import normalise
from app.logstore.segments import Fragment, Segment, Whole
from app.observability import ids, log_file, log_handlers, log_spool, operations

SOUND = "sound"


def break_part(variant: str) -> None:
    """Break one part of the pipeline in this process; SOUND breaks none."""
    if variant != SOUND:
        VARIANTS[variant]()


def _unmarked_seal() -> None:
    """The runner reads to the end without telling any writer."""
    log_spool.seal = lambda _: True


def _no_look() -> None:
    """Writers do not care what became of the file that they have written to."""
    log_file._is_left = lambda _: False


def _no_append() -> None:
    """Opens at the end, and then believes its own position."""

    def open_at_end(self: log_file.AppendOnlyFile) -> int:
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
        os.lseek(fd, 0, os.SEEK_END)
        return fd

    log_file.AppendOnlyFile._open = open_at_end  # type: ignore[method-assign]


def _glued_lines() -> None:
    """No new line behind a fragment, and no reader that looks for a record in a line."""

    def split(line: bytes) -> list[Whole | Fragment]:
        data = segments._parse(line)
        return [Whole(0, data) if data is not None else Fragment(0, line)] if line.strip() else []

    segments.split = split


def _inode() -> None:
    def identity(self: Segment, *, whole: bool = False) -> str:
        return f"inode-{os.fstat(self._fd).st_ino}"

    Segment.identity = identity  # type: ignore[method-assign]
    # That is what such a shipper believes: the same inode, the same file.
    Progress.has_read = lambda *_: None  # type: ignore[method-assign]
    Segment.before = lambda *_: b"\n"  # type: ignore[method-assign]


def _checkpoint_first() -> None:
    real = sql_store.SqlStore.append

    def append(
        self: Any, records: Sequence[Any], checkpoint: Checkpoint, meanwhile: Any
    ) -> list[str]:
        real(self, [], checkpoint)
        return real(self, records, checkpoint, meanwhile)

    sql_store.SqlStore.append = append  # type: ignore[method-assign]


def _no_identity() -> None:
    for module in (sql_append, sql_copy):
        module.normalise = lambda raw: normalise({**raw, "id": ids.new_id()})  # type: ignore[attr-defined]


def _outbox_first() -> None:
    real: Callable[..., Any] = outbox.waiting

    def waiting(engine: Any) -> Any:
        rows = real(engine)
        outbox_remove(engine, [row_id for row_id, _ in rows])
        return rows

    outbox_remove = outbox.remove
    outbox.waiting = waiting
    outbox.remove = lambda *_: None
    # As if each writer were killed between commit and line: nothing else can have these records.
    operations._publish = lambda *_: None


def _no_outbox() -> None:
    def commit(done: Any) -> Any:
        records = [operations._make_record(one, "success") for one in done]
        db.session.commit()
        return list(zip(done, records, strict=True))

    operations._commit = commit


def _line_before_commit() -> None:
    def commit(done: Any) -> Any:
        for one in done:
            logging.getLogger("app.events").handle(operations._make_record(one, "success"))
        db.session.commit()
        return []

    real, flush = commit, lambda: db.session.flush()
    operations._commit = lambda done: (flush(), real(done))[1]


def _follow_no_file() -> None:
    """Only what has a name is read."""
    shipper.Shipper._ship_held = lambda self, segment, stop: (  # type: ignore[method-assign]
        (0, None) if not segment.is_named(self._active) else _held(self, segment, stop)
    )


_held = shipper.Shipper._ship_held


def _no_copies() -> None:
    log_spool.copies = lambda _: []


def _silent_loss() -> None:
    log_handlers._count = lambda *_: None


def _raising_handler() -> None:
    """What the disk refuses, the request gets to feel."""

    def report(_record: Any, _line: str, error: Exception) -> None:
        raise error

    log_handlers._report_loss = report


def _wall_clock() -> None:
    def new_id() -> str:
        ms, low = ids.time.time_ns() // 1_000_000, os.urandom(10).hex()
        return f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7{low[:3]}-8{low[3:6]}-{low[6:18]}"

    from app.observability import log_formatters

    log_formatters.new_id = operations.new_id = new_id


VARIANTS: dict[str, Callable[[], None]] = {
    "sealed without a mark": _unmarked_seal,
    "no look after a line": _no_look,
    "no append": _no_append,
    "no torn-line recovery": _glued_lines,
    "offset by inode": _inode,
    "checkpoint committed before insert": _checkpoint_first,
    "no id to know a record by": _no_identity,
    "outbox emptied before insert": _outbox_first,
    "no outbox": _no_outbox,
    "line before commit": _line_before_commit,
    "only files with a name are read": _follow_no_file,
    "copies are not read": _no_copies,
    "loss not counted": _silent_loss,
    "loss raised into the request": _raising_handler,
    "ids by the wall clock": _wall_clock,
}
