"""The log for programs: JSON by an administrator's API token or session."""

import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for
from flask_login import current_user

from app.blueprints.admin import filters as log_filters
from app.blueprints.admin.filters import Filters
from app.error_pages import Problem, answer
from app.models.types import utc_now
from app.observability.events import record_error, record_event
from app.services import log_service
from app.services.errors import Forbidden, Invalid, Unauthorized
from app.services.log_service import StoreUnavailable

bp = Blueprint("admin_api", __name__, url_prefix="/api/logs")

PAGE_SIZE = 50
PAGE_SIZE_MAX = 500
_ENDS = ("from", "to")


@bp.before_request
def admit_administrators() -> None:
    """Refuse everybody else; a program cannot follow a redirect to a login page."""
    if not current_user.is_authenticated:
        raise Unauthorized("Send an API token, or log in and send the session cookie.")
    if not current_user.is_admin:
        raise Forbidden("The log is for administrators.")


@bp.errorhandler(StoreUnavailable)
def explain_unavailable_store(error: StoreUnavailable) -> Response:
    """Say that the log store does not answer; the rest of the application goes on."""
    record_error(error, method=request.method, path=request.path)
    response = answer(Problem(503, detail="The log store does not answer. Try again later."))
    response.headers["Retry-After"] = "10"
    return response


def asked(errors: Mapping[str, str] | None = None) -> Filters:
    """Return the search in the address; refuse it if it cannot be read, or for these errors."""
    filters = log_filters.parse(request.args, utc_now())
    problems = {**filters.errors, **(errors or {})}
    # The form of the log page sends all three, and its range says which of them count.
    if any(request.args.get(one, "").strip() and one not in filters.times for one in _ENDS):
        problems["range"] = "Send either a range, or from and to."
    if problems:
        raise Invalid(next(iter(problems.values())), errors=problems)
    return filters


def fresh(**content: Any) -> Response:
    """Return JSON that nobody may keep."""
    response = jsonify(**content)
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.get("")
def index() -> Response:
    """List records, newest first, by the search of the log page; follow `next` until it is null.

    A page may be shorter than `limit`, even empty: `looked_back_to` then says how far back a
    search came in its time, and `next` goes on from there.
    """
    limit = request.args.get("limit", str(PAGE_SIZE))
    fits = bool(re.fullmatch("[0-9]{1,3}", limit)) and 1 <= int(limit) <= PAGE_SIZE_MAX
    wrong = {"limit": f"Use a whole number from 1 to {PAGE_SIZE_MAX}."}
    filters = asked({} if fits else wrong)
    page = log_service.search(filters.query, before=filters.before, limit=int(limit))
    record_event("logs_viewed", "logs viewed", details={"page": "api", "filters": filters.audit()})
    here: dict[str, Any] = {**filters.address(before=page.next), "limit": limit}
    return fresh(
        records=page.records,
        next=url_for("admin_api.index", **here) if page.next else None,
        looked_back_to=page.looked_back_to.isoformat() if page.looked_back_to else None,
    )
