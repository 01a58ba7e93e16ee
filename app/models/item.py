"""The things people keep."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Connection, ForeignKey, Index, String, Text, event, inspect
from sqlalchemy.orm import Mapped, Mapper, mapped_column, relationship

from app.extensions import db
from app.models.types import UtcDateTime, utc_now
from app.models.user import User

NAME_MAX = 120
CATEGORY_MAX = 60
DESCRIPTION_MAX = 4000
QUANTITY_MAX = 2_147_483_647


def sort_key(name: str) -> str:
    """Return what items are sorted by: the name without regard to case."""
    return name.casefold()[:NAME_MAX]


def search_text(name: str, category: str, description: str) -> str:
    """Return the text that a search looks through, without regard to case."""
    return "\n".join((name, category, description)).casefold()


def _default_sort_name(context: Any) -> str:
    return sort_key(context.get_current_parameters()["name"])


def _default_search(context: Any) -> str:
    values = context.get_current_parameters()
    return search_text(values["name"], values.get("category", ""), values.get("description", ""))


class Item(db.Model):  # type: ignore[name-defined, misc]
    """Hold one item. `version` is raised by each change; a change of a stale copy fails."""

    __tablename__ = "items"
    __table_args__ = (
        CheckConstraint("quantity >= 0", name="quantity"),
        # One index for each order a list can have; the id makes it the page cursor.
        Index("ix_items_sort_name_id", "sort_name", "id"),
        Index("ix_items_quantity_id", "quantity", "id"),
        Index("ix_items_updated_at_id", "updated_at", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_MAX))
    description: Mapped[str] = mapped_column(Text, default="")
    category: Mapped[str] = mapped_column(String(CATEGORY_MAX), default="")
    quantity: Mapped[int] = mapped_column(default=0)
    image: Mapped[str | None] = mapped_column(String(64))
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    version: Mapped[int] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now, onupdate=utc_now)
    # Made from the columns above: SQLite's own LIKE and ORDER BY know only ASCII's letter case.
    sort_name: Mapped[str] = mapped_column(String(NAME_MAX), default=_default_sort_name)
    search: Mapped[str] = mapped_column(Text, default=_default_search, deferred=True)

    owner: Mapped[User] = relationship()

    __mapper_args__: dict[str, Any] = {"version_id_col": version}


@event.listens_for(Item, "before_update")
def _refresh_derived(_mapper: Mapper[Item], _connection: Connection, item: Item) -> None:
    attributes: Any = inspect(item).attrs
    if any(attributes[name].history.has_changes() for name in ("name", "category", "description")):
        item.sort_name = sort_key(item.name)
        item.search = search_text(item.name, item.category, item.description)
