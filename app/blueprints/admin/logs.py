"""The log page and the page of one record."""

from collections.abc import Mapping
from typing import Any

from flask import abort, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.blueprints.admin import filters as log_filters
from app.blueprints.admin.blueprint import bp, viewed
from app.blueprints.admin.filters import Filters
from app.models.types import utc_now
from app.services import log_service

PAGE_SIZE = 50


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
        return log_page(filters), 400
    page = log_service.search(filters.query, before=filters.before, limit=PAGE_SIZE)
    viewed("logs", filters=filters.audit())
    return log_page(filters, page)


@bp.get("/logs/<record_id>")
def record(record_id: str) -> ResponseReturnValue:
    """Show every field of one record."""
    found = log_service.get(record_id) if log_filters.is_record_id(record_id) else None
    if found is None:
        abort(404)
    viewed("record", record_id=record_id)
    return render_template("admin/record.html", record=found)


def log_page(filters: Filters, page: Any = None, **more: str) -> str:
    """Return the log page, with the records that were found if there are any."""
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
