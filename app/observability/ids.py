"""UUIDv7: identifiers that sort by time (RFC 9562, section 5.7)."""

import os
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_AHEAD = 86_400_000  # Milliseconds: a day, more than any time zone is off.
_COUNTS = 0x1000  # In a millisecond.
_lock = threading.Lock()


def _random_ending() -> str:
    digits = os.urandom(8).hex()
    return f"-8{digits[:3]}-{digits[3:15]}"


# The millisecond, how identifiers of it begin, its next counts, and the 60 random bits in which
# they end: one value, because most identifiers of a burst are made without the lock.
_state: tuple[int, str, Iterator[int], str] = (0, "", iter(()), _random_ending())


def new_id() -> str:
    """Return a UUIDv7 greater than every one this process had returned when it was called.

    A clock that is set back by up to a day does not reorder one process, which goes on from the
    last instant. After a clock that was further ahead identifiers start from it anew: they sort
    before the wrong ones, which beats being wrong until a restart.
    """
    now = time.time_ns() // 1_000_000
    ms, beginning, counts, ending = _state
    count = next(counts, None) if now == ms else None
    if count is None:
        beginning, count, ending = _in_another_ms(now)
    return f"{beginning}{count:03x}{ending}"


def _in_another_ms(now: int) -> tuple[str, int, str]:
    """Return the parts of the next identifier where the millisecond may end."""
    global _state
    with _lock:
        last, beginning, counts, ending = _state
        is_past = last - _MOST_AHEAD <= now <= last
        count = next(counts, None) if is_past else None
        if count is None:
            ms = last + 1 if is_past else now
            if ms // 1000 != last // 1000:
                # Another one each second: where the clock went far back, or a running machine was
                # copied, the same milliseconds come again.
                ending = _random_ending()
            beginning, counts = f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7", iter(range(_COUNTS))
            _state = ms, beginning, counts, ending
            count = next(counts)
        return beginning, count, ending


def id_floor(instant: datetime) -> str:
    """Return the smallest UUIDv7 of an instant, which is aware, for ranges over identifiers."""
    # In whole numbers: a float of this size is a millisecond off now and then.
    ms = (instant - _EPOCH) // timedelta(milliseconds=1)
    ms = min(max(ms, 0), 2**48 - 1)
    return f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7000-8000-000000000000"


def id_time(value: str) -> datetime:
    """Return the instant in a UUIDv7, to the millisecond."""
    ms = uuid.UUID(value).int >> 80
    return _EPOCH + timedelta(milliseconds=ms)


def _start_anew_after_fork() -> None:
    # A child that went on from its parent's state would repeat its parent's identifiers,
    # and the lock may be held by a thread that does not exist in the child.
    global _lock, _state
    _lock = threading.Lock()
    _state = (*_state[:3], _random_ending())


os.register_at_fork(after_in_child=_start_anew_after_fork)
