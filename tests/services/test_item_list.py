import base64
import itertools
import json
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import Connection, event

from app.extensions import db
from app.models.item import Item
from app.models.user import User
from app.services import item_list
from app.services.errors import Invalid
from app.services.item_list import ORDERS, ItemPage, list_items

NAMES = [
    "pear",
    "Apple",
    "äpfel",
    "banana",
    "apple",
    "Cherry",
    "date",
    "elder",
    "fig",
    "100% a_b/c",
]


@pytest.fixture
def shop(make_app: Callable[..., Flask], database_url: str) -> Iterator[Flask]:
    """An application with ten items, on each database."""
    app = make_app(DATABASE_URL=database_url)
    with app.app_context():
        owner = User(email="a@example.com", name="A", password_hash="x")
        db.session.add(owner)
        db.session.flush()
        for number, name in enumerate(NAMES):
            # Equal quantities: only the id tells these items apart.
            item = Item(name=name, quantity=number // 4, owner_id=owner.id, category="Fruit")
            db.session.add(item)
            db.session.commit()
        yield app


def walk(**options: object) -> tuple[list[str], ItemPage]:
    """Return the names on all pages, and the last page."""
    names: list[str] = []
    after = None
    while True:
        page = list_items(after=after, **options)  # type: ignore[arg-type]
        names += [item.name for item in page.items]
        if page.next is None:
            return names, page
        after = page.next


def walk_back(page: ItemPage, **options: object) -> list[str]:
    names = [item.name for item in page.items]
    while page.previous is not None:
        page = list_items(before=page.previous, **options)  # type: ignore[arg-type]
        names = [item.name for item in page.items] + names
    return names


@pytest.mark.parametrize("limit", [1, 3, 5, 10, 100])
def test_pages_forwards_and_backwards_hold_every_item_once(shop: Flask, limit: int) -> None:
    for sort in ORDERS:
        whole = [item.name for item in list_items(sort=sort, limit=100).items]
        assert sorted(whole) == sorted(NAMES)
        names, last = walk(sort=sort, limit=limit)
        assert names == whole
        assert walk_back(last, sort=sort, limit=limit) == whole


def test_each_order_is_the_one_its_name_promises(shop: Flask) -> None:
    def listed(sort: str) -> list[Item]:
        return list_items(sort=sort).items

    assert [item.id for item in listed("newest")] == list(range(10, 0, -1))
    assert [item.id for item in listed("updated")] == list(range(10, 0, -1))
    assert [item.name for item in listed("name")][1:3] == ["Apple", "apple"]
    assert [item.quantity for item in listed("fewest")] == [0] * 4 + [1] * 4 + [2] * 2
    assert [item.quantity for item in listed("most")] == [2] * 2 + [1] * 4 + [0] * 4


SEARCHES = {
    "APPLE": ["Apple", "apple"],
    "ÄPFEL": ["äpfel"],
    "fruit cherry": ["Cherry"],
    "cherry fig": [],
    "100%": ["100% a_b/c"],
    "%": ["100% a_b/c"],
    "_": ["100% a_b/c"],
    "b/c": ["100% a_b/c"],
    "nothing": [],
}


def test_a_search_finds_every_word_literally_and_without_letter_case(shop: Flask) -> None:
    for search, names in SEARCHES.items():
        assert [item.name for item in list_items(search, "name").items] == names, search


def test_a_search_over_many_slices_finds_the_same_items_once(
    shop: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_list, "SLICE", 3)
    for sort in ORDERS:
        names, last = walk(search="fruit", sort=sort, limit=4)
        assert names == [item.name for item in list_items(sort=sort).items]
        assert walk_back(last, search="fruit", sort=sort, limit=4) == names


def test_a_search_that_takes_too_long_stops_and_can_go_on(
    shop: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_list, "SLICE", 3)
    monkeypatch.setattr(item_list, "SEARCH_SECONDS", 0)
    first = list_items("cherry", "newest")
    assert (first.items, first.stopped, first.previous) == ([], True, None)
    assert first.next is not None
    names, last = walk(search="cherry")
    assert names == ["Cherry"]
    assert not last.stopped


def test_a_deep_page_asks_one_question_without_an_offset_or_a_count(shop: Flask) -> None:
    asked: list[tuple[str, object]] = []

    def note(_c: Connection, _cursor: object, statement: str, values: object, *_: object) -> None:
        asked.append((statement, values))

    cursor = list_items(sort="name", limit=5).next
    event.listen(db.engine, "before_cursor_execute", note)
    list_items(sort="name", after=cursor, limit=5)
    event.remove(db.engine, "before_cursor_execute", note)
    ((statement, _),) = asked
    assert "count(" not in statement.lower()
    # SQLite's compiler writes an offset of 0 behind every LIMIT.
    assert db.engine.dialect.name == "sqlite" or "OFFSET" not in statement


def test_a_page_beyond_the_end_is_empty(shop: Flask) -> None:
    _, last = walk(limit=5)
    end = base64.urlsafe_b64encode(json.dumps([0, 0]).encode()).decode()
    assert last.next is None
    assert list_items(after=end) == ItemPage([])


HOSTILE = [
    "", "x", "!!", "é", "bnVsbA", "W10", "WzFd",
    *(
        base64.urlsafe_b64encode(text.encode()).decode()
        for text in (
            '["a", 1]', "[1, null]", "[1e999, 1]", "[1, 99999999999999999999]", "[2147483648, 1]",
            '["a\\u0000", 1]', '["\\ud800", 1]', "[" * 5000, '["2026-01-01T00:00:00", 1]',
            '["0001-01-01T00:00:00+14:00", 1]', '["9999-12-31T23:59:59-14:00", 1]',
            '["2026-13-01T00:00:00+00:00", 1]', "[NaN, 1]", "[{}, 1]",
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize("side", ["after", "before"])
def test_a_made_up_cursor_is_refused_by_name_or_harmless(shop: Flask, side: str) -> None:
    refusals = 0
    for sort, cursor in itertools.product(ORDERS, HOSTILE):
        refused = refusal(sort=sort, **{side: cursor})
        assert set(refused) <= {side}
        refusals += bool(refused)
    assert refusals > len(HOSTILE)


def refusal(**options: str) -> dict[str, str]:
    """Return what a list is refused for; nothing when it is not."""
    try:
        list_items(**options)  # type: ignore[arg-type]
    except Invalid as refused:
        return refused.errors
    return {}


def test_an_order_that_does_not_exist_is_refused_by_name(shop: Flask) -> None:
    with pytest.raises(Invalid) as refused:
        list_items(sort="owner")
    assert refused.value.errors == {"sort": "Use newest, updated, name, fewest, most."}


@pytest.mark.parametrize("column", ["sort_name", "quantity", "updated_at"])
def test_a_page_in_each_order_is_read_from_an_index(app_context: Flask, column: str) -> None:
    query = f"SELECT * FROM items WHERE ({column}, id) > (1, 1) ORDER BY {column}, id LIMIT 5"
    plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").all()
    assert [row[3].split(" USING INDEX ")[1].split()[0] for row in plan] == [
        f"ix_items_{column}_id"
    ]
