"""The overview for programs: the figures of the page, as JSON."""

from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from flask import Response, jsonify, request

from app.blueprints.admin.api import bp
from app.blueprints.admin.blueprint import viewed
from app.models.types import utc_now
from app.services import log_overview
from app.services.errors import BadRequest


@bp.get("/overview")
def overview() -> Response:
    """Tell the key figures of `window` (1h, 6h, 24h, 7d, 30d) and what stands out in it."""
    window = request.args.get("window", log_overview.DEFAULT)
    if window not in log_overview.WINDOWS:
        raise BadRequest(errors={"window": f"Choose one of {', '.join(log_overview.WINDOWS)}."})
    found = log_overview.overview(window, utc_now())
    viewed("api overview", window=window)
    response = jsonify(_told(found))
    response.headers["Cache-Control"] = "no-store"
    return response


def _told(value: Any) -> Any:
    if is_dataclass(value):
        return {one.name: _told(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, list | tuple):
        return [_told(one) for one in value]
    return value.isoformat() if isinstance(value, datetime) else value
