"""Errors for programs: what the pages of errors show, as JSON."""

from typing import Any

from flask import Response, current_app, request
from flask_login import current_user

from app.blueprints.admin import filters
from app.blueprints.admin.api import bp, fresh
from app.blueprints.admin.blueprint import viewed
from app.blueprints.admin.errors import is_fingerprint
from app.services import error_groups
from app.services.error_groups import ErrorKind
from app.services.errors import BadRequest, NotFound


@bp.get("/errors")
def errors() -> Response:
    """List the errors of `window` (1h, 24h, 7d, 30d) that are `state` (open, resolved, all)."""
    window, shown = request.args.get("window", "24h"), request.args.get("state", "open")
    found = error_groups.list_errors(window, shown)
    viewed("api errors", window=window, state=shown)
    return fresh(
        errors=[_told(kind) for kind in found.errors],
        starts=[start.isoformat() for start in found.starts],
        left_out=found.left_out,
    )


@bp.get("/errors/<path:fingerprint>")
def error(fingerprint: str) -> Response:
    """Tell all about one error; `next` is the `before` of the occurrences' next page."""
    window, before = request.args.get("window", "24h"), request.args.get("before")
    if before and not filters.is_record_id(before):
        raise BadRequest("This page's address is damaged.", errors={"before": "Use `next`."})
    story = error_groups.get_error(fingerprint, window, before)
    viewed("api error", fingerprint=fingerprint, window=window)
    return fresh(
        error=_told(story.kind),
        starts=[start.isoformat() for start in story.starts],
        record=story.record,
        hits={name: [{"value": value, "count": count} for value, count in top]
              for name, top in story.hits.items()},
        hits_among=story.sampled,
        occurrences=story.occurrences.records,
        next=story.occurrences.next,
    )  # fmt: skip


@bp.put("/errors/<path:fingerprint>/resolution")
def resolve(fingerprint: str) -> Response:
    """Call an error resolved: it is open again as soon as it happens after this moment."""
    _check(fingerprint)
    user, release = current_user._get_current_object(), current_app.config["RELEASE"]
    error_groups.resolve(fingerprint, user, release)
    return Response(status=204)


@bp.delete("/errors/<path:fingerprint>/resolution")
def reopen(fingerprint: str) -> Response:
    """Take back that an error was resolved."""
    _check(fingerprint)
    error_groups.reopen(fingerprint)
    return Response(status=204)


def _check(fingerprint: str) -> None:
    if not is_fingerprint(fingerprint):
        raise NotFound("The log has no such error.")


def _told(kind: ErrorKind) -> dict[str, Any]:
    exception, resolution = kind.newest["exception"], kind.resolution
    return {
        "fingerprint": kind.fingerprint,
        "state": kind.state,
        "type": exception["type"],
        "message": exception["message"],
        "place": kind.newest["details"].get("place"),
        "level": kind.newest["level"],
        "count": kind.group.count,
        "counts": list(kind.group.counts),
        "users": kind.group.users,
        "users_are_more": kind.users_are_more,
        "first_seen": kind.first_seen.isoformat(),
        "first_record_is_kept": kind.first_is_kept,
        "first_release": kind.group.first["release"],
        "last_seen": kind.last_seen.isoformat(),
        "newest_record_id": kind.newest["id"],
        "newest_request_id": kind.newest["request_id"],
        "resolved_at": resolution and resolution.resolved_at.isoformat(),
        "resolved_by": resolution and resolution.resolved_by,
    }
