"""Read a segment on, also before it is its turn: while the store is at work on what came before."""

from contextlib import suppress
from functools import partial

from app.logstore.segments import Chunk, Segment


class ReadAhead:
    """Read one segment, for one pass only: in the next the file may have been cut or replaced."""

    def __init__(self, segment: Segment, identity: str, *, whole: bool) -> None:
        self._read = partial(segment.read, identity=identity, whole=whole)
        self._ahead: Chunk | None = None

    def read(self, offset: int) -> Chunk:
        """Return what read_ahead() has read from `offset` on, or read it now. Raises OSError."""
        chunk, self._ahead = self._ahead, None
        return chunk or self._read(offset)

    def read_ahead(self, offset: int) -> None:
        """Read what read() is asked for next. Raises nothing: what is in the way is said then."""
        with suppress(Exception):
            self._ahead = self._read(offset)
