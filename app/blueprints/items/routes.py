"""Items for people."""

from typing import Any

from flask import (
    Blueprint,
    Response,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    send_from_directory,
    url_for,
)
from flask_login import current_user, login_required
from werkzeug.datastructures import CombinedMultiDict
from werkzeug.wrappers import Response as BaseResponse

from app.blueprints.items.forms import ItemForm
from app.services import item_service
from app.services.errors import Conflict, Forbidden, Invalid
from app.services.item_list import DEFAULT_ORDER, ORDERS
from app.services.item_rules import clean_values
from app.services.uploads import CONTENT_TYPE, size_text, small_name

bp = Blueprint("items", __name__)

ITEM = "/items/<int:item_id>"


@bp.get("/")
def home() -> BaseResponse:
    """Send the start page's visitors to the items."""
    return redirect(url_for("items.index"))


@bp.get("/items")
def index() -> str:
    """List, search and sort."""
    search, sort = request.args.get("q", "").strip(), request.args.get("sort", DEFAULT_ORDER)
    page = item_service.list_items(
        search, sort, after=request.args.get("after"), before=request.args.get("before")
    )
    kept: dict[str, Any] = {
        "q": search or None,
        "sort": sort if sort != DEFAULT_ORDER else None,
    }
    return render_template(
        "items/index.html",
        page=page,
        search=search,
        sort=sort,
        orders=ORDERS,
        beyond_first="after" in request.args or "before" in request.args,
        first=url_for("items.index", **kept),
        previous=url_for("items.index", **kept, before=page.previous) if page.previous else None,
        next=url_for("items.index", **kept, after=page.next) if page.next else None,
    )


@bp.get(ITEM)
def show(item_id: int) -> str:
    """Show one item."""
    item = item_service.get_item(item_id)
    may_change = item_service.may_change(current_user, item)
    return render_template("items/show.html", item=item, may_change=may_change)


@bp.route("/items/new", methods=["GET", "POST"])
@login_required  # type: ignore[untyped-decorator]
def create() -> Any:
    """Take a new item, or show the form again with what is wrong."""
    form = _sent_form()
    if not form.is_submitted():
        return _form_page(form)
    try:
        item = item_service.create_item(current_user, form.values(), form.picture())
    except Invalid as error:
        return _form_page(form, error=error)
    flash("The item was created.", "success")
    return redirect(url_for("items.show", item_id=item.id))


@bp.route(f"{ITEM}/edit", methods=["GET", "POST"])
@login_required  # type: ignore[untyped-decorator]
def edit(item_id: int) -> Any:
    """Take changes, or show the form again: with what is wrong, or with another's changes."""
    item = item_service.get_item(item_id)
    if not item_service.may_change(current_user, item):
        raise Forbidden("Only its owner and administrators may change this item.")
    form = _sent_form(item)
    if not form.is_submitted():
        return _form_page(form, item=item)
    try:
        item_service.update_item(
            current_user,
            item_id,
            form.values(),
            form.read_version(),
            image=form.picture(),
            without_image=form.without_image.data,
        )
    except (Invalid, Conflict) as error:
        return _form_page(form, item=item_service.get_item(item_id), error=error)
    flash("Your changes were saved.", "success")
    return redirect(url_for("items.show", item_id=item_id))


@bp.post(f"{ITEM}/delete")
@login_required  # type: ignore[untyped-decorator]
def delete(item_id: int) -> BaseResponse:
    """Delete an item."""
    item_service.delete_item(current_user, item_id)
    flash("The item was deleted.", "success")
    return redirect(url_for("items.index"))


@bp.get(f"{ITEM}/image")
def image(item_id: int) -> Response:
    """Serve an item's picture; with ?size=small the copy for lists."""
    name = item_service.get_image(item_id)
    small = request.args.get("size") == "small"
    response = send_from_directory(
        current_app.config["UPLOAD_FOLDER"],
        small_name(name) if small else name,
        mimetype=CONTENT_TYPE,
        max_age=0,
    )
    # Even a browser that ignores the content type runs nothing from here.
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    if request.args.get("v") == name.partition(".")[0]:
        # A new picture gets a new name, and so a new address.
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


def _sent_form(item: Any = None) -> ItemForm:
    if request.method == "GET":
        return ItemForm(None, obj=item)
    # From the form only: Flask-WTF would take JSON too, whose values are no texts. And what a
    # form leaves out must not be filled from the item: its version above all.
    return ItemForm(CombinedMultiDict([request.files, request.form]))


def _form_page(
    form: ItemForm, *, item: Any = None, error: Invalid | Conflict | None = None
) -> tuple[str, int]:
    """Return the form, with what was entered, and with what stands against it."""
    stale = isinstance(error, Conflict)
    messages = form.show(error.errors) if error else []
    if error and (stale or not error.errors):
        messages.append(error.message)
    theirs = _differences(form, item) if stale else []
    if stale or not form.is_submitted():
        # Shown the other's change, an editor who saves again means it.
        form.version.data = str(item.version) if item else ""
    limit = current_app.config["UPLOAD_MAX_BYTES"]
    page = render_template(
        "items/form.html",
        form=form,
        item=item,
        messages=messages,
        theirs=theirs,
        picture_lost=bool(error and "image" not in error.errors and form.picture()),
        max_bytes=limit,
        max_size=size_text(limit),
    )
    return page, error.status if error else 200


def _differences(form: ItemForm, item: Any) -> list[tuple[str, Any]]:
    """Return label and stored value of each field where the form says something else."""
    # As they would be stored: a browser sends other line ends, and spaces at either end.
    values = clean_values(form.values(), partial=True)
    return [
        (form[name].label.text, getattr(item, name))
        for name in values
        if values[name] != getattr(item, name)
    ]
