"""What all pages of the administrator share: who may see them, and that each view is recorded."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.blueprints.admin import present
from app.blueprints.admin.words import search
from app.extensions import login_manager
from app.observability.events import record_error, record_event
from app.services import log_service
from app.services.log_keys import request_id_error
from app.services.log_service import StoreUnavailable

bp = Blueprint("admin", __name__, url_prefix="/admin")


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
    """Give the pages what they need to show a record, and the state of the runner.

    `search` makes the `q` of the log page's address.
    """
    return {
        "present": present,
        "is_request_id": lambda value: request_id_error(value) is None,
        "search": search,
        "runner": log_service.runner_status(),
    }


@bp.errorhandler(StoreUnavailable)
def explain_unavailable_store(error: StoreUnavailable) -> ResponseReturnValue:
    """Say that the log store does not answer; the rest of the application goes on."""
    record_error(error, method=request.method, path=request.path)
    return render_template("admin/unavailable.html"), 503


def asker(address: Mapping[str, str]) -> str:
    """Name who asks, and for what: the reader that a signature is for."""
    return f"{current_user.get_id()} {sorted(address.items())}"


def viewed(page: str, **details: Any) -> None:
    """Record that somebody looked at a page of the log; `details` says at what."""
    record_event("logs_viewed", "logs viewed", details={"page": page, **details})
