"""Take out of the log exactly what is filtered, as a stream of NDJSON or CSV."""

from collections.abc import Iterator

from flask import Response, request, url_for
from flask.typing import ResponseReturnValue

from app.blueprints.admin import api, filters
from app.blueprints.admin.blueprint import bp
from app.blueprints.admin.filters import Filters
from app.blueprints.admin.logs import log_page
from app.models.types import utc_now
from app.observability.events import record_error, record_event
from app.services.errors import BadRequest
from app.services.log_export import FORMATS, stream

_TYPES = {"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
_UNKNOWN = f"Choose one of {', '.join(FORMATS)}."


@bp.get("/logs/export")
def export_logs() -> ResponseReturnValue:
    """Send all records that fit the search in the address, newest first."""
    asked, form = filters.parse(request.args, utc_now()), request.args.get("format", "ndjson")
    if asked.errors:
        return log_page(asked), 400
    if form not in FORMATS:
        raise BadRequest(_UNKNOWN)
    return _sent(asked, form)


@api.bp.get("/export")
def export() -> Response:
    """Send all records that fit the search in the address, newest first."""
    form = request.args.get("format", "ndjson")
    asked = api.asked({} if form in FORMATS else {"format": _UNKNOWN})
    return _sent(asked, form)


def _sent(asked: Filters, form: str) -> Response:
    address = url_for(request.endpoint or "", format=form, _external=True, **_fixed(asked))
    pieces = stream(asked.query, form, asked.before, lambda before: f"{address}&before={before}")
    record_event(
        "logs_exported", "logs exported", details={"format": form, "filters": asked.audit()}
    )
    response = Response(_explained(pieces, request.path), content_type=_TYPES[form])
    name = f"logs-{utc_now():%Y%m%dT%H%M%SZ}.{form}"
    response.headers["Content-Disposition"] = f"attachment; filename={name}"
    response.headers["Cache-Control"] = "no-store"
    # Each piece leaves when it is made: nobody on the way compresses them or gathers them first.
    response.headers["Content-Encoding"] = "identity"
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _fixed(asked: Filters) -> dict[str, str]:
    """Return the address of a search whose start does not move on with the time."""
    if "range" not in asked.times or asked.query.since is None:
        return asked.address()
    since = f"{asked.query.since:%Y-%m-%dT%H:%M:%S}"
    return asked.address(**{"range": None, "from": since})


def _explained(pieces: Iterator[bytes], path: str) -> Iterator[bytes]:
    """Record what fails on the way, and let it end the connection: a clean end would be a lie."""
    try:
        yield from pieces
    except Exception as error:
        record_error(error, method="GET", path=path)
        raise
