"""The page of one request, and the box that leads to it."""

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.blueprints.admin.blueprint import bp, viewed
from app.blueprints.admin.filters import Filters
from app.blueprints.admin.logs import log_page
from app.blueprints.admin.story import tell
from app.services import log_service
from app.services.log_keys import request_id_error


@bp.get("/requests")
def find_request() -> ResponseReturnValue:
    """Lead from the search box to the request that is asked for."""
    wanted = request.args.get("request_id", "").strip()
    if not wanted:
        return redirect(url_for("admin.logs"))
    if problem := request_id_error(wanted):
        return log_page(Filters(errors={"jump": problem}), jump=wanted), 400
    return redirect(url_for("admin.request_story", request_id=wanted))


@bp.get("/requests/<request_id>")
def request_story(request_id: str) -> ResponseReturnValue:
    """Show everything that one request did."""
    if request_id_error(request_id):
        abort(404)
    records, left_out = log_service.request_story(request_id)
    viewed("request", viewed_request_id=request_id)
    story = tell(records)
    earlier, later = log_service.neighbours(story.requests[0]) if story.requests else (None, None)
    page = render_template(
        "admin/request.html",
        request_id=request_id,
        story=story,
        left_out=left_out,
        resumes=records[len(records) // 2]["id"] if left_out else None,
        shown=len(records),
        earlier=earlier,
        later=later,
        caused=log_service.caused_by(request_id),
    )
    return page, 200 if records else 404
