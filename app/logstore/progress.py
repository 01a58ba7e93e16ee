"""How far each segment of one host is in the store, and the number its next record gets."""

from collections.abc import Iterator, Set
from dataclasses import replace
from typing import Any

from app.logstore import outbox
from app.logstore.contract import Checkpoint, LogStore
from app.logstore.segments import Segment
from app.logstore.waiting import Meanwhile, nothing


class Progress:
    """The checkpoints of one host, as the store has them and this process knows them."""

    def __init__(self, store: LogStore, source: str) -> None:
        self._store = store
        self.source = source
        self._checkpoints: dict[str, Checkpoint] = {}
        self._next_seq = 1
        self._in_step = False
        # Identity of a segment -> the last bytes that were read, for as long as they stand there.
        self._read: dict[str, bytes] = {}
        self._absent: set[str] = set()

    def get_in_step(self) -> bool:
        """Ask the store how far it is, if that is not known; tell whether it was asked."""
        if self._in_step:
            return False
        self._store.prepare()
        known = self._store.checkpoints(self.source)
        self._checkpoints = {one.segment: one for one in known}
        self._next_seq = max((one.next_seq for one in known), default=1)
        self._read.clear()
        self._in_step = True
        return True

    def lose_step(self) -> None:
        """Ask again next time; a transaction whose answer got lost may be committed even so."""
        self._in_step = False

    def append(
        self,
        records: list[dict[str, Any]],
        segment: str,
        offset: int = 0,
        *,
        sealed: bool = False,
        meanwhile: Meanwhile = nothing,
    ) -> None:
        """Store records, which are gone then, and how far that is; see LogStore.append()."""
        checkpoint = Checkpoint(self.source, segment, offset, sealed, self._next_seq)
        count = len(records)
        self._store.append(_taken_out(records), checkpoint, meanwhile)
        self._next_seq += count
        self._checkpoints[segment] = replace(checkpoint, next_seq=self._next_seq)

    def has_read(self, identity: str, before: bytes) -> None:
        """Remember what stood before the checkpoint, to know later whether it still does."""
        self._read[identity] = before

    def is_sealed(self, identity: str | None, offset: int | None = None) -> bool:
        """Tell whether a segment is stored to its end, which is at `offset`."""
        known = self._checkpoints.get(identity or "")
        return bool(known and known.sealed and offset in (None, known.offset))

    def start(self, segment: Segment, identity: str | None, *, copy: bool = False) -> int:
        """Return where to read on: at the beginning when the checkpoint's place is no more.

        A file that was cut or replaced begins anew, its ids tell what is stored already; a copy
        that is shorter than its original has nothing new.
        """
        known = self._checkpoints.get(identity or "")
        if known is None:
            return 0
        before = segment.before(known.offset)
        expected = self._read.get(known.segment)
        same = before == expected if expected else before.endswith(b"\n") or known.sealed
        if known.offset <= segment.size and same:
            return known.offset
        return segment.size if copy else 0

    def forget_gone(self, present: Set[str | None]) -> None:
        """Forget segments that were not there this time and the last."""
        absent = set(self._checkpoints) - present - {outbox.SEGMENT}
        # A file that is being renamed is not seen for a moment.
        for segment in absent & self._absent:
            self._store.forget(self.source, segment)
            del self._checkpoints[segment]
            self._read.pop(segment, None)
        self._absent = absent


def _taken_out(records: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    # So that what the store makes of each takes its place: the memory of a batch is that of one.
    records.reverse()
    while records:
        yield records.pop()
