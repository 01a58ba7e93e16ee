"""The log pages. They only ask the log service, and each view is an event of its own."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.blueprints.admin import filters as log_filters
from app.blueprints.admin import present
from app.blueprints.admin.filters import Filters
from app.blueprints.admin.story import tell
from app.extensions import login_manager
from app.models.types import utc_now
from app.observability.events import record_error, record_event
from app.services import log_service
from app.services.log_service import StoreUnavailable

bp = Blueprint("admin", __name__, url_prefix="/admin")

PAGE_SIZE = 50


@bp.before_request
def admit_administrators() -> ResponseReturnValue | None:
    """Send strangers to log in and refuse everybody else who is no administrator."""
    if not current_user.is_authenticated:
        answer: ResponseReturnValue = login_manager.unauthorized()
        return answer
    if not current_user.is_admin:
        abort(403)
    return None


@bp.context_processor
def add_presentation() -> dict[str, Any]:
    """Give the pages what they need to show a record, and the state of the runner."""
    return {
        "present": present,
        "is_request_id": lambda value: log_filters.request_id_error(value) is None,
        "runner": log_service.runner_status(),
    }


@bp.errorhandler(StoreUnavailable)
def explain_unavailable_store(error: StoreUnavailable) -> ResponseReturnValue:
    """Say that the log store does not answer; the rest of the application goes on."""
    record_error(error, method=request.method, path=request.path)
    return render_template("admin/unavailable.html"), 503


@bp.get("")
@bp.get("/")
def index() -> ResponseReturnValue:
    """Lead to the log."""
    return redirect(url_for("admin.logs"))


@bp.get("/logs")
def logs() -> ResponseReturnValue:
    """Show a page of records that fit the filters in the address."""
    filters = log_filters.parse(request.args, utc_now())
    if filters.errors:
        return _log_page(filters), 400
    page = log_service.search(filters.query, before=filters.before, limit=PAGE_SIZE)
    _viewed("logs", filters=filters.audit())
    return _log_page(filters, page)


@bp.get("/logs/<record_id>")
def record(record_id: str) -> ResponseReturnValue:
    """Show every field of one record."""
    found = log_service.get(record_id) if log_filters.is_record_id(record_id) else None
    if found is None:
        abort(404)
    _viewed("record", record_id=record_id)
    return render_template("admin/record.html", record=found)


@bp.get("/requests")
def find_request() -> ResponseReturnValue:
    """Lead from the search box to the request that is asked for."""
    wanted = request.args.get("request_id", "").strip()
    if not wanted:
        return redirect(url_for("admin.logs"))
    if problem := log_filters.request_id_error(wanted):
        return _log_page(Filters({}, errors={"jump": problem}), jump=wanted), 400
    return redirect(url_for("admin.request_story", request_id=wanted))


@bp.get("/requests/<request_id>")
def request_story(request_id: str) -> ResponseReturnValue:
    """Show everything that one request did."""
    if log_filters.request_id_error(request_id):
        abort(404)
    records = log_service.request_story(request_id)
    _viewed("request", viewed_request_id=request_id)
    page = render_template("admin/request.html", request_id=request_id, story=tell(records))
    return page, 200 if records else 404


def _log_page(filters: Filters, page: Any = None, **more: str) -> str:
    return render_template(
        "admin/logs.html",
        filters=filters,
        page=page,
        choices=_choices(filters),
        routes=sorted({rule.rule for rule in current_app.url_map.iter_rules()}),
        **more,
    )


def _choices(filters: Filters) -> Mapping[str, list[tuple[str, str]]]:
    """Return the (value, text) pairs of each list of choices."""
    actions = list(log_filters.ACTIONS)
    asked = filters.values.get("action")
    if asked and asked not in actions and "action" not in filters.errors:
        actions.append(asked)
    ranges = [(value, text) for value, (text, _) in log_filters.RANGES.items()]
    return {
        "level": [(level, f"{level.capitalize()} and above") for level in log_filters.LEVELS[1:]],
        "action": [(action, action) for action in actions],
        "range": [*ranges, (log_filters.CUSTOM, "From … to …")],
        "status": [(status, status) for status in log_filters.STATUSES],
    }


def _viewed(page: str, **details: Any) -> None:
    record_event("logs_viewed", "logs viewed", details={"page": page, **details})
