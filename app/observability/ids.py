"""UUIDv7: identifiers that sort by time (RFC 9562, section 5.7)."""

import os
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_AHEAD = 86_400_000  # Milliseconds: a day, more than any time zone is off.
_MOST_IN_ONE_MS = 0xFFF
_lock = threading.Lock()
_last_ms = 0
_count = 0  # Of those in this millisecond.
_beginning = ""  # What they have in common.
# How identifiers end: 60 random bits, from the system, which is asked for many at once.
_endings: Iterator[str] = iter(())


def new_id() -> str:
    """Return a UUIDv7 greater than every one this process has returned before.

    A clock that is set back by up to a day does not reorder one process, which goes on from the
    last instant. After a clock that was further ahead identifiers start from it anew: they sort
    before the wrong ones, which beats being wrong until a restart.
    """
    global _count
    now = time.time_ns() // 1_000_000
    with _lock:
        _count += 1
        if now > _last_ms or now < _last_ms - _MOST_AHEAD:
            _begin(now)
        elif _count > _MOST_IN_ONE_MS:
            _begin(_last_ms + 1)
        # The ending keeps processes that share a millisecond apart.
        ending = next(_endings, None) or _next_ending()
        return "%s%03x-%s" % (_beginning, _count, ending)  # noqa: UP031 - faster than an f-string


def _begin(ms: int) -> None:
    global _last_ms, _count, _beginning
    _last_ms, _count, _beginning = ms, 0, f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7"


def _next_ending() -> str:
    global _endings
    digits = os.urandom(8 * 256).hex()
    starts = range(0, len(digits), 16)
    # Cut from a text, because making one of a number takes three times as long.
    _endings = iter([f"8{digits[n : n + 3]}-{digits[n + 3 : n + 15]}" for n in starts])
    return next(_endings)


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
    # A child that went on from its parent's state could repeat its parent's identifiers,
    # and the lock may be held by a thread that does not exist in the child.
    global _lock, _last_ms, _endings
    _lock = threading.Lock()
    _last_ms = 0
    _endings = iter(())


os.register_at_fork(after_in_child=_start_anew_after_fork)
