"""The page of errors, grouped, and the page of one of them."""

import re
from collections.abc import Sequence
from datetime import datetime

from flask import abort, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.blueprints.admin import filters, tracebacks
from app.blueprints.admin.blueprint import bp, viewed
from app.blueprints.admin.words import ago, search
from app.services import error_groups

_FINGERPRINT = re.compile(r"[0-9a-f]{1,64}")


@bp.get("/errors")
def errors() -> ResponseReturnValue:
    """List the errors of a window, each kind once."""
    window, shown = _window(), request.args.get("state", "open")
    found = error_groups.list_errors(window, shown)
    viewed("errors", window=window, state=shown)
    return render_template(
        "admin/errors.html",
        found=found,
        window=window,
        shown=shown,
        windows=error_groups.WINDOWS,
        states=error_groups.SHOWN,
        is_fingerprint=is_fingerprint,
        outline=outline,
        in_words=in_words,
        ago=ago,
    )


@bp.get("/errors/<fingerprint>")
def error(fingerprint: str) -> ResponseReturnValue:
    """Show one error: where it happens, to whom, since when."""
    _check(fingerprint)
    window, before = _window(), request.args.get("before")
    if before and not filters.is_record_id(before):
        abort(404)
    story = error_groups.get_error(fingerprint, window, before)
    viewed("error", fingerprint=fingerprint, window=window)
    return render_template(
        "admin/error.html",
        story=story,
        window=window,
        before=before,
        windows=error_groups.WINDOWS,
        blocks=tracebacks.blocks,
        bars=bars,
        in_words=in_words,
        ago=ago,
        search=search,
    )


@bp.post("/errors/<fingerprint>")
def resolve_error(fingerprint: str) -> ResponseReturnValue:
    """Call an error resolved."""
    _check(fingerprint)
    error_groups.resolve(
        fingerprint, current_user._get_current_object(), current_app.config["RELEASE"]
    )
    flash("Resolved. It opens again if it returns.", "success")
    return redirect(url_for("admin.error", fingerprint=fingerprint, window=_window()))


@bp.post("/errors/<fingerprint>/reopen")
def reopen_error(fingerprint: str) -> ResponseReturnValue:
    """Take back that an error was resolved."""
    _check(fingerprint)
    error_groups.reopen(fingerprint)
    flash("Open again.", "success")
    return redirect(url_for("admin.error", fingerprint=fingerprint, window=_window()))


def is_fingerprint(value: str) -> bool:
    """Tell whether a value has the form of a fingerprint, so that it can stand in an address."""
    return bool(_FINGERPRINT.fullmatch(value))


def bars(counts: Sequence[int], starts: Sequence[datetime]) -> list[tuple[datetime, int, int]]:
    """Return (start, count, percent of the highest) of each point of a chart."""
    return list(zip(starts, counts, _heights(counts), strict=True))


def outline(counts: Sequence[int]) -> str:
    """Return the bars of a small chart as one path: as a template's loop it took twenty times that.

    A bar is 3 wide, 4 from the next one, and stands at 102.
    """
    heights = enumerate(_heights(counts))
    return "".join(f"M{4 * at} 102v-{height}h3v{height}z" for at, height in heights if height)


def in_words(name: str, counts: Sequence[int], starts: Sequence[datetime]) -> str:
    """Return what a chart shows, for those who do not see it."""
    highest = max(counts)
    if not highest:
        return f"{name}: none"
    return f"{name}: most at {starts[counts.index(highest)]:%Y-%m-%d %H:%M} UTC, {highest:,}"


def _heights(counts: Sequence[int]) -> list[int]:
    highest = max([*counts, 1])
    # What happened once among thousands is still to be seen.
    return [count and max(6, round(100 * count / highest)) for count in counts]


def _window() -> str:
    return request.args.get("window", "24h")


def _check(fingerprint: str) -> None:
    if not is_fingerprint(fingerprint):
        abort(404)
