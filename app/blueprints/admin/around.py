"""What belongs to one record: its details for the row that opens in place, and its neighbours."""

from flask import Response, abort, render_template, request
from flask.typing import ResponseReturnValue

from app.blueprints.admin import api
from app.blueprints.admin import filters as log_filters
from app.blueprints.admin.blueprint import bp, viewed
from app.services import log_around, log_service
from app.services.errors import Invalid, NotFound
from app.services.log_around import OF, around, choices
from app.services.log_keys import request_id_error
from app.services.log_service import Record


@bp.get("/logs/<record_id>/inline")
def record_inline(record_id: str) -> str:
    """Show a record as a row with all its fields below, for a page that has it already."""
    found = _find(record_id)
    viewed("record", record_id=record_id)
    return render_template("admin/_inline.html", record=found)


@bp.get("/logs/<record_id>/context")
def record_context(record_id: str) -> ResponseReturnValue:
    """Show what came before a record and after it."""
    found = _find(record_id)
    of = request.args.get("of", "all")
    if of not in choices(found):
        abort(404)
    viewed("context", record_id=record_id, of=of)
    return render_template(
        "admin/context.html", record=found, of=of, around=around(found, of),
        choices=[(one, OF[one]) for one in choices(found)], near=of in {"host", "process"},
        most=log_around.SIZE,
    )  # fmt: skip


@api.bp.get("/<record_id>")
def record(record_id: str) -> Response:
    """Return one record."""
    found = _known(record_id)
    viewed("api record", record_id=record_id)
    return api.fresh(record=found)


@api.bp.get("/<record_id>/context")
def context(record_id: str) -> Response:
    """Return what came before a record and after it, all newest first."""
    found = _known(record_id)
    of = request.args.get("of", "all")
    if of not in choices(found):
        said = f"For this record use one of {', '.join(choices(found))}."
        raise Invalid(said, errors={"of": said})
    viewed("api context", record_id=record_id, of=of)
    near = around(found, of)
    return api.fresh(
        after=near.after, record=found, before=near.before,
        looked_ahead_to=near.ahead_to and near.ahead_to.isoformat(),
        looked_back_to=near.back_to and near.back_to.isoformat(),
    )  # fmt: skip


@api.bp.get("/requests/<request_id>")
def story(request_id: str) -> Response:
    """Return what a request or job run said, oldest first; `left_out` tells of more."""
    known = not request_id_error(request_id)
    records, left_out = log_service.request_story(request_id) if known else ([], 0)
    if not records:
        raise NotFound("Nothing is known of this request.")
    viewed("api request", viewed_request_id=request_id)
    return api.fresh(records=records, left_out=left_out)


def _find(record_id: str) -> Record:
    found = log_service.get(record_id) if log_filters.is_record_id(record_id) else None
    return abort(404) if found is None else found


def _known(record_id: str) -> Record:
    found = log_service.get(record_id) if log_filters.is_record_id(record_id) else None
    if found is None:
        raise NotFound("There is no such record.")
    return found
