"""Items for programs: JSON by API token; or by session, with X-CSRFToken on each change."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for
from flask_login import current_user
from flask_wtf.csrf import generate_csrf
from werkzeug.exceptions import BadRequest as UnreadableJSON

from app.blueprints.items.routes import ITEM
from app.services import item_service
from app.services.errors import BadRequest, Invalid, Unauthorized
from app.services.item_list import DEFAULT_ORDER, PAGE_SIZE, PAGE_SIZE_MAX

bp = Blueprint("items_api", __name__)

# Far more than any item needs; pictures have a form of their own.
_BODY_MAX = 65_536
_NOT_JSON = "The body is not JSON that can be read. Send one JSON object."


def _signed_in(view: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse strangers with 401; a program cannot follow a redirect to a login page."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if not current_user.is_authenticated:
            raise Unauthorized("Send an API token, or log in and send the session cookie.")
        return view(*args, **kwargs)

    return guarded


@bp.get("/api/csrf-token")
def csrf_token() -> Response:
    """Give a program the token that its changes carry in the header X-CSRFToken."""
    response = jsonify(csrf_token=generate_csrf())
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.get("/api/items")
def index() -> Response:
    """List, search and sort; follow `next` until it is null.

    A page may be shorter than `limit`, even empty, when a search for something rare takes long.
    """
    given = request.args.to_dict()
    kept: dict[str, Any] = {name: given[name] for name in ("q", "sort", "limit") if name in given}
    page = item_service.list_items(
        kept.get("q", ""),
        kept.get("sort", DEFAULT_ORDER),
        after=request.args.get("after"),
        before=request.args.get("before"),
        limit=_limit(kept.get("limit", str(PAGE_SIZE))),
    )
    here = "items_api.index"
    return jsonify(
        items=[_as_json(item) for item in page.items],
        previous=url_for(here, **kept, before=page.previous) if page.previous else None,
        next=url_for(here, **kept, after=page.next) if page.next else None,
    )


@bp.post("/api/items")
@_signed_in
def create() -> Response:
    """Create an item that the asking user owns."""
    item = item_service.create_item(current_user, _body())
    response = jsonify(_as_json(item))
    response.status_code = 201
    response.headers["Location"] = url_for("items_api.show", item_id=item.id)
    return response


@bp.get(f"/api{ITEM}")
def show(item_id: int) -> Response:
    """Return one item."""
    return jsonify(_as_json(item_service.get_item(item_id)))


@bp.put(ITEM, endpoint="update_item")
@bp.put(f"/api{ITEM}")
@_signed_in
def update(item_id: int) -> Response:
    """Change the fields that are sent; `version` says which copy they are meant for."""
    values = _body()
    version = values.pop("version", None)
    return jsonify(_as_json(item_service.update_item(current_user, item_id, values, version)))


@bp.delete(ITEM, endpoint="delete_item")
@bp.delete(f"/api{ITEM}")
@_signed_in
def delete(item_id: int) -> tuple[str, int]:
    """Delete an item."""
    item_service.delete_item(current_user, item_id)
    return "", 204


def _body() -> dict[str, Any]:
    request.max_content_length = _BODY_MAX
    try:
        # Raises 415 for another content type and 413 for too much of it.
        values = request.get_json()
    except (UnreadableJSON, RecursionError):
        raise BadRequest(_NOT_JSON) from None
    if not isinstance(values, dict):
        raise BadRequest(_NOT_JSON)
    return values


def _limit(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= PAGE_SIZE_MAX:
        return int(text)
    message = f"Use a whole number from 1 to {PAGE_SIZE_MAX}."
    raise Invalid(message, errors={"limit": message})


def _as_json(item: Any) -> dict[str, Any]:
    return {
        "id": item.id,
        "name": item.name,
        "category": item.category,
        "quantity": item.quantity,
        "description": item.description,
        "image": url_for("items.image", item_id=item.id) if item.image else None,
        "owner_id": item.owner_id,
        "version": item.version,
        "created_at": item.created_at.isoformat(),
        "updated_at": item.updated_at.isoformat(),
    }
