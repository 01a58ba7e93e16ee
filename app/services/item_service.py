"""Items: everything that changes them, under one set of rules for pages, programs and commands."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload
from sqlalchemy.orm.exc import StaleDataError

from app.extensions import db
from app.models.item import Item
from app.models.user import User
from app.observability.operations import Operation, operation
from app.services.errors import Conflict, Forbidden, NotFound
from app.services.item_list import ItemPage, list_items
from app.services.item_rules import clean_values, clean_version
from app.services.uploads import remove_image, store_image

__all__ = [
    "ItemPage", "create_item", "delete_item", "get_image", "get_item", "list_items", "may_change",
    "update_item",
]  # fmt: skip

_STALE = (
    "This item was changed after you opened it. Nothing was saved, so nothing of that change "
    "is lost. Compare, then save again."
)
_ID_MAX = 2**31 - 1


def get_item(item_id: int) -> Item:
    """Return an item with its owner. Raises NotFound."""
    item = db.session.get(Item, _known_id(item_id), options=[joinedload(Item.owner)])
    if item is None:
        raise NotFound("There is no such item. It may have been deleted.")
    return item


def get_image(item_id: int) -> str:
    """Return the file name of an item's picture. Raises NotFound."""
    name = db.session.scalar(select(Item.image).where(Item.id == _known_id(item_id)))
    if name is None:
        raise NotFound("There is no such picture.")
    return name


def may_change(user: User, item: Item) -> bool:
    """Tell whether a user may edit and delete an item: its owner and administrators may."""
    return user.is_authenticated and (user.is_admin or user.id == item.owner_id)


def create_item(actor: User, values: Mapping[str, Any], image: IO[bytes] | None = None) -> Item:
    """Create an item that `actor` owns. Raises Invalid."""
    with _pictures() as pictures, operation("item_create", target_type="item") as op:
        item = Item(owner_id=actor.id, **clean_values(values))
        # The picture comes before the first write: SQLite has one writer at a time, and
        # encoding takes long.
        upload = _replace_picture(item, image, pictures) if image is not None else None
        db.session.add(item)
        db.session.flush()
        for one in (op, upload):
            if one is not None:
                one.target_id = item.id
    return item


def update_item(
    actor: User,
    item_id: int,
    values: Mapping[str, Any],
    version: Any,
    *,
    image: IO[bytes] | None = None,
    without_image: bool = False,
) -> Item:
    """Change the fields in `values` of the copy that had `version`.

    Raises NotFound, Forbidden, Invalid, and Conflict when the item has changed since.
    """
    with (
        _pictures() as pictures,
        operation("item_update", target_type="item", target_id=item_id) as op,
    ):
        item = _changeable(actor, item_id)
        cleaned = clean_values(values, partial=True)
        if item.version != clean_version(version):
            raise Conflict(_STALE)
        op.details["changed"] = [key for key in cleaned if cleaned[key] != getattr(item, key)]
        for key, value in cleaned.items():
            setattr(item, key, value)
        if image is not None:
            _replace_picture(item, image, pictures)
        elif without_image:
            pictures.old, item.image = item.image, None
        _flush()
    return item


def delete_item(actor: User, item_id: int) -> None:
    """Delete an item and its picture. Raises NotFound and Forbidden."""
    with (
        _pictures() as pictures,
        operation("item_delete", target_type="item", target_id=item_id) as op,
    ):
        item = _changeable(actor, item_id)
        op.details["name"] = item.name
        pictures.old = item.image
        db.session.delete(item)
        _flush()


@dataclass
class _Pictures:
    """The picture files of one change."""

    new: str | None = None
    old: str | None = None


@contextmanager
def _pictures() -> Iterator[_Pictures]:
    """Keep files in step with the transaction inside: the old one goes only after its commit."""
    pictures = _Pictures()
    try:
        yield pictures
    except BaseException:
        remove_image(pictures.new)
        raise
    remove_image(pictures.old)


def _replace_picture(item: Item, image: IO[bytes], pictures: _Pictures) -> Operation:
    with operation("upload", target_type="item", target_id=item.id) as op:
        pictures.new = store_image(image)
        op.details["file"] = pictures.new
        pictures.old, item.image = item.image, pictures.new
    return op


def _known_id(item_id: int) -> int:
    """Return the id, or 0, which no item has, for a number that a database would refuse."""
    return item_id if item_id <= _ID_MAX else 0


def _changeable(actor: User, item_id: int) -> Item:
    item = get_item(item_id)
    if not may_change(actor, item):
        raise Forbidden("Only its owner and administrators may change this item.")
    return item


def _flush() -> None:
    """Send the change; the database compares versions, for two may have read the same one."""
    try:
        db.session.flush()
    except StaleDataError:
        raise Conflict(_STALE) from None
