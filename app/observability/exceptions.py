"""Describe an exception: what, where in this project, and which failure it is again."""

import hashlib
import traceback
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from app.observability.log_redaction import text_of

ROOT = f"{Path(__file__).resolve().parents[2]}/"
_MAX_FRAMES = 60


def describe(exc: BaseException) -> dict[str, str]:
    """Return type, message, traceback and fingerprint of an exception."""
    frames = project_frames(exc.__traceback__)
    return {
        "type": type_name(exc),
        "message": text_of(exc),
        "traceback": _traceback(exc),
        "fingerprint": _fingerprint(exc, frames),
    }


def type_name(exc: BaseException) -> str:
    """Return the exception's type with its module, as tracebacks print it."""
    kind = type(exc)
    return kind.__qualname__ if kind.__module__ == "builtins" else (
        f"{kind.__module__}.{kind.__qualname__}"
    )  # fmt: skip


def place(exc: BaseException) -> str | None:
    """Return the innermost line of this project that the exception passed, or None.

    The machinery around an operation is named only where there is nothing else.
    """
    frames = project_frames(exc.__traceback__)
    if not frames:
        return None
    own = [frame for frame in frames if not frame[0].startswith("app/observability/")]
    file, line, function = (own or frames)[-1]
    return f"{file}:{line} in {function}"


@cache
def project_file(filename: str) -> str | None:
    """Return a file's path within this project, or None for the code of others."""
    if filename.startswith(ROOT) and "site-packages" not in filename:
        return filename[len(ROOT):]  # fmt: skip
    return None


def project_frames(tb: TracebackType | None) -> list[tuple[str, int, str]]:
    """Return (file, line, function) of each frame in this project, outermost first."""
    frames: list[tuple[str, int, str]] = []
    while tb is not None:
        code = tb.tb_frame.f_code
        if file := project_file(code.co_filename):
            frames.append((file, tb.tb_lineno, code.co_name))
        tb = tb.tb_next
    return frames


def _traceback(exc: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(exc, limit=-_MAX_FRAMES))
    except Exception:  # noqa: BLE001 - an exception that cannot be shown must not be lost
        return f"{type_name(exc)}: <no traceback>"


def _fingerprint(exc: BaseException, frames: list[tuple[Any, ...]]) -> str:
    # Without message and line numbers: the same failure stays the same when its text names
    # another item, or when lines above it move. Each place once: how deep a recursion went says
    # nothing about which one it is.
    places = dict.fromkeys(f"{file}:{function}" for file, _line, function in frames)
    parts = [type_name(exc), *places]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()[:16]
