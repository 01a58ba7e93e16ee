import pytest
from flask import Flask
from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError

from app.extensions import db
from app.models.item import NAME_MAX, Item, search_text, sort_key
from app.models.user import User


@pytest.fixture
def owner(app_context: Flask) -> User:
    owner = User(email="a@example.com", name="A", password_hash="x")
    db.session.add(owner)
    db.session.commit()
    return owner


def saved(owner: User, **fields: object) -> Item:
    item = Item(**{"name": "Lamp", "owner_id": owner.id, **fields})
    db.session.add(item)
    db.session.commit()
    return item


def test_a_new_item_has_its_defaults_and_its_first_version(owner: User) -> None:
    item = saved(owner)
    found = (item.version, item.quantity, item.category, item.description, item.image)
    assert found == (1, 0, "", "", None)


def test_what_lists_use_follows_each_change_of_the_text(owner: User) -> None:
    item = saved(owner, name="ÄPFEL", category="Obst")
    assert (item.sort_name, item.search) == ("äpfel", "äpfel\nobst\n")
    item.name, item.description = "Birnen", "Süß"
    db.session.commit()
    assert (item.sort_name, item.search) == ("birnen", "birnen\nobst\nsüss")


def test_rows_written_in_bulk_can_be_searched_as_well(owner: User) -> None:
    db.session.execute(insert(Item), [{"name": "Saw", "owner_id": owner.id, "version": 1}])
    item = db.session.query(Item).one()
    assert (item.sort_name, item.search) == ("saw", "saw\n\n")


def test_each_change_raises_the_version_and_saving_the_same_does_not(owner: User) -> None:
    item = saved(owner)
    item.quantity = 7
    db.session.commit()
    assert item.version == 2
    item.quantity = 7
    item.name = "Lamp"
    db.session.commit()
    assert item.version == 2


def test_a_change_of_a_row_that_changed_meanwhile_fails(owner: User) -> None:
    item = saved(owner)
    assert item.version == 1
    db.session.execute(update(Item.__table__).values(version=5))
    item.name = "Other"
    with pytest.raises(StaleDataError):
        db.session.flush()


@pytest.mark.parametrize("wrong", [{"quantity": -1}, {"owner_id": 999}, {"owner_id": None}])
def test_the_database_refuses_what_no_rule_may_let_through(
    owner: User, wrong: dict[str, object]
) -> None:
    with pytest.raises(IntegrityError):
        saved(owner, **wrong)


def test_the_sort_key_fits_its_column_also_where_folding_makes_a_name_longer() -> None:
    assert len(sort_key("ß" * NAME_MAX)) == NAME_MAX
    assert search_text("A", "B", "C") == "a\nb\nc"
