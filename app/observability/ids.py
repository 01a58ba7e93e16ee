"""UUIDv7: identifiers that sort by time (RFC 9562, section 5.7)."""

import os
import threading
import time
import uuid
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOW_BITS = 74  # What a UUIDv7 has beside its milliseconds, version and variant.
_MOST_AHEAD = 86_400_000  # Milliseconds: a day, more than any time zone is off.
_lock = threading.Lock()
_last_ms = 0
_last_low = 0
# Random numbers of 64 bits from the system, which is asked for many at once.
_entropy: Iterator[int] = iter(())


def new_id() -> str:
    """Return a UUIDv7 greater than every one this process has returned before.

    A clock that is set back by up to a day does not reorder one process, which goes on from the
    last instant. After a clock that was further ahead identifiers start from it anew: they sort
    before the wrong ones, which beats being wrong until a restart.
    """
    global _last_ms, _last_low
    now = time.time_ns() // 1_000_000
    with _lock:
        entropy = _next_entropy()
        if now > _last_ms or now < _last_ms - _MOST_AHEAD:
            _last_ms, _last_low = now, entropy
        else:
            # A random step keeps two processes that share a millisecond apart.
            _last_low += 1 + (entropy >> 30)
            if _last_low >> _LOW_BITS:
                _last_ms, _last_low = _last_ms + 1, entropy
        ms, low = _last_ms, _last_low
    return _format(ms, low)


def _next_entropy() -> int:
    global _entropy
    number = next(_entropy, None)
    if number is None:
        _entropy = iter(array("Q", os.urandom(8 * 512)))
        number = next(_entropy)
    return number << (_LOW_BITS - 64)


def id_floor(instant: datetime) -> str:
    """Return the smallest UUIDv7 of an instant, which is aware, for ranges over identifiers."""
    # In whole numbers: a float of this size is a millisecond off now and then.
    ms = (instant - _EPOCH) // timedelta(milliseconds=1)
    return _format(min(max(ms, 0), 2**48 - 1), 0)


def id_time(value: str) -> datetime:
    """Return the instant in a UUIDv7, to the millisecond."""
    ms = uuid.UUID(value).int >> 80
    return _EPOCH + timedelta(milliseconds=ms)


def _format(ms: int, low: int) -> str:
    # One operator is faster here than an f-string of five parts.
    return "%08x-%04x-7%03x-%04x-%012x" % (  # noqa: UP031
        ms >> 16, ms & 0xFFFF, low >> 62, 0x8000 | (low >> 48) & 0x3FFF, low & 0xFFFFFFFFFFFF,
    )  # fmt: skip


def _start_anew_after_fork() -> None:
    # A child that went on from its parent's state could repeat its parent's identifiers,
    # and the lock may be held by a thread that does not exist in the child.
    global _lock, _last_ms, _last_low, _entropy
    _lock = threading.Lock()
    _last_ms = _last_low = 0
    _entropy = iter(())


os.register_at_fork(after_in_child=_start_anew_after_fork)
