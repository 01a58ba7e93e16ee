"""Lists of items: search, order and pages, at a cost that does not grow with the page's depth."""

import base64
import binascii
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from app.extensions import db
from app.models.item import Item
from app.services.errors import Invalid
from app.services.item_rules import clean_search

PAGE_SIZE = 25
PAGE_SIZE_MAX = 100
# How long a search may look for a rare word, and how many items it looks at between two looks
# at the clock.
SEARCH_SECONDS = 1.0
SLICE = 20_000


@dataclass(frozen=True)
class Order:
    """One order of the list: by a column, then by id, so that it is total."""

    label: str
    column: InstrumentedAttribute[Any]
    descending: bool = False
    # Turns a cursor's JSON value back into the column's; raises ValueError or TypeError.
    parse: Callable[[Any], Any] = int


ORDERS = {
    "newest": Order("Newest first", Item.id, descending=True),
    "updated": Order("Last changed first", Item.updated_at, True, datetime.fromisoformat),
    "name": Order("Name", Item.sort_name, parse=str),
    "fewest": Order("Fewest first", Item.quantity),
    "most": Order("Most first", Item.quantity, descending=True),
}
DEFAULT_ORDER = "newest"


@dataclass(frozen=True)
class ItemPage:
    """Some items in order, and the cursors of the pages before and after, where there are any.

    A search that takes too long stops: then `stopped` is true, the page may be short or even
    empty, and its cursor goes on from where the search stopped.
    """

    items: list[Item]
    previous: str | None = None
    next: str | None = None
    stopped: bool = False


class Position(NamedTuple):
    """A place in an order: the column's value, then the id."""

    value: Any
    item_id: int


def list_items(
    search: str = "",
    sort: str = DEFAULT_ORDER,
    *,
    after: str | None = None,
    before: str | None = None,
    limit: int = PAGE_SIZE,
) -> ItemPage:
    """Return one page of the items that hold every word of `search`. Raises Invalid."""
    if sort not in ORDERS:
        raise Invalid("This order is not known.", errors={"sort": f"Use {', '.join(ORDERS)}."})
    order, backwards = ORDERS[sort], before is not None
    cursor, name = (before, "before") if backwards else (after, "after")
    start = None if cursor is None else _parsed(order, cursor, name)
    limit = max(1, min(limit, PAGE_SIZE_MAX))
    words = clean_search(search)
    found, stopped = _Scan(order, backwards, words).run(start, limit + 1)
    more, items = len(found) > limit, found[:limit]
    ahead = stopped
    if more and items:
        ahead = _position(order, items[-1])
    behind = _position(order, items[0]) if start and items else None
    if backwards:
        items.reverse()
        ahead, behind = behind, ahead
    return ItemPage(items, _cursor(behind), _cursor(ahead), stopped=stopped is not None)


@dataclass(frozen=True)
class _Scan:
    """A walk along one order, in one direction, past the items that lack a word."""

    order: Order
    backwards: bool
    words: list[str]

    def run(self, start: Position | None, wanted: int) -> tuple[list[Item], Position | None]:
        """Return what was found, and where the walk stopped if it ran out of time.

        A rare word makes the database read much: it reads slice after slice until time is up.
        """
        if not self.words:
            return self._between(start, None, wanted), None
        found: list[Item] = []
        deadline = time.monotonic() + SEARCH_SECONDS
        while True:
            edge = self._slice_end(start)
            found += self._between(start, edge, wanted - len(found))
            if len(found) >= wanted or edge is None:
                return found, None
            if time.monotonic() >= deadline:
                return found, edge
            start = edge

    def _between(self, start: Position | None, end: Position | None, limit: int) -> list[Item]:
        query = self._sorted(select(Item)).limit(limit)
        query = query.where(*(Item.search.contains(word, autoescape=True) for word in self.words))
        if start is not None:
            query = query.where(self._beyond(start))
        if end is not None:
            query = query.where(self._up_to(end))
        return list(db.session.scalars(query))

    def _slice_end(self, start: Position | None) -> Position | None:
        # An offset, but a small and fixed one, which an index alone answers.
        query = self._sorted(select(self.order.column, Item.id)).offset(SLICE - 1).limit(1)
        if start is not None:
            query = query.where(self._beyond(start))
        row = db.session.execute(query).first()
        return None if row is None else Position(row[0], row[1])

    def _sorted(self, query: Select[*tuple[Any, ...]]) -> Any:
        down = self.order.descending != self.backwards
        columns = dict.fromkeys((self.order.column, Item.id))
        return query.order_by(*(c.desc() if down else c.asc() for c in columns))

    def _beyond(self, position: Position) -> ColumnElement[bool]:
        here, down = tuple_(self.order.column, Item.id), self.order.descending != self.backwards
        return here < tuple(position) if down else here > tuple(position)

    def _up_to(self, position: Position) -> ColumnElement[bool]:
        # Not `NOT beyond`: no database stops at the end of an index range for that.
        here, down = tuple_(self.order.column, Item.id), self.order.descending != self.backwards
        return here >= tuple(position) if down else here <= tuple(position)


def _position(order: Order, item: Item) -> Position:
    return Position(getattr(item, order.column.key), item.id)


def _cursor(position: Position | None) -> str | None:
    if position is None:
        return None
    value, item_id = position
    text = json.dumps([value.isoformat() if isinstance(value, datetime) else value, item_id])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _parsed(order: Order, cursor: str, name: str) -> Position:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        value, item_id = json.loads(text)
        value, item_id = order.parse(value), int(item_id)
        _check_range(value, item_id)
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error):
        message = "This page's address is damaged. Start again from the first page."
        raise Invalid(message, errors={name: message}) from None
    return Position(value, item_id)


def _check_range(*values: Any) -> None:
    """Refuse what a database would not take: it came from an address that anybody can write."""
    for value in values:
        if isinstance(value, int) and not -(2**31) <= value < 2**31:
            raise ValueError(value)
        if isinstance(value, str):
            value.encode()
            if "\0" in value:
                raise ValueError(value)
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise ValueError(value)
            # The last and first hours there are have no time in UTC, which is what is stored.
            value.astimezone(UTC)
